/** The conformance suite on the simulator, once on an IOMMU that tracks dirty pages and once on one that does not. */
import { Machine } from '../../src/kernel/sim/machine.ts';
import { hostIn, testClock } from '../support/world.ts';
import type { Target } from './rig.ts';
import { conformance } from './suite.ts';

function target(tracks: boolean): Target {
  const document = hostIn('test/cases/host.yaml');
  const iommus = document.spec.iommus?.map((iommu) => ({ ...iommu, dirtyTracking: tracks })) ?? [];
  const spec = { ...document.spec, iommus };
  const machine = new Machine({ ...document, spec }, { clock: testClock() });
  return {
    syscalls: machine.syscalls,
    single: ['vfio0', 'vfio1'],
    mates: ['vfio3', 'vfio4'],
    mdev: 'vfio5',
    tracks,
    openSignalLine: (onSignal) => machine.openSignalLine(onSignal),
  };
}

conformance('simulator', () => target(false));
conformance('simulator with dirty tracking', () => target(true));
