/** The kernel must offer what every container needs: iommufd, VFIO device files, and for PCI functions vfio-pci. */
import type { Wanted } from '../world.ts';
import type { Rule } from './rule.ts';

/** Blocks containers on a kernel that lacks a feature they need. */
export const kernelFeatures: Rule = ({ graph, wanted }) =>
  wanted.flatMap((each) =>
    neededBy(each)
      .filter((feature) => !graph.kernel.features.includes(feature))
      .map((feature) => ({
        kind: 'kernel-feature-missing' as const,
        container: each.spec.name,
        feature,
        release: graph.kernel.release,
      })),
  );

function neededBy({ spec, devices }: Wanted): readonly string[] {
  const unbound = devices.some((device) => device.kind === 'pci' && device.driver === null);
  return [
    'iommufd',
    ...(devices.length > 0 ? ['vfio-cdev'] : []),
    ...(unbound && spec.driver.name === 'vfio-pci' ? ['vfio-pci'] : []),
  ];
}
