/** Can each device be used at all: translated by an IOMMU, free, on a VFIO driver, and known. */
import type { Device, Graph, PciDevice } from '../../graph/types.ts';
import type { ContainerSpec } from '../../spec/config.ts';
import { driverState } from '../drivers.ts';
import type { BlockerCause } from '../types.ts';
import type { World } from '../world.ts';
import type { Rule } from './rule.ts';

/** Blocks containers with a device that cannot be used. One blocker a device: the first that holds. */
export const deviceUsable: Rule = (world) =>
  world.wanted.flatMap(({ spec, devices }) =>
    devices.flatMap((device) => {
      const cause = causeOf(world, spec, device);
      return cause === null ? [] : [{ ...cause, container: spec.name }];
    }),
  );

function causeOf(world: World, spec: ContainerSpec, device: Device): BlockerCause | null {
  const unreadable = unreadableOf(world.graph, device);
  if (unreadable !== null) return unreadable;
  if (world.holdings.has(device.key)) return null;
  if (device.kind === 'pci') {
    const cause = translationCause(world.graph, device);
    if (cause !== null) return cause;
  }
  const why = world.graph.tainted.get(device.key);
  if (why !== undefined) return { kind: 'tainted', device: device.key, why };
  if (device.holders.length > 0) {
    return { kind: 'in-use', device: device.key, by: device.holders };
  }
  const driver = driverState(device, spec.driver);
  return driver.state === 'blocked' ? driver.cause : null;
}

function unreadableOf(graph: Graph, device: Device): BlockerCause | null {
  if (graph.unreadable.length === 0) return null;
  const about = new Set<string>([device.key]);
  if (device.kind === 'pci') {
    if (device.group !== null) about.add(`group:${device.group}`);
    if (device.iommu !== null) about.add(`iommu:${device.iommu}`);
  }
  const failure = graph.unreadable.find((each) => each.about !== null && about.has(each.about));
  return failure ? { kind: 'unreadable', what: failure.what, errno: failure.errno } : null;
}

function translationCause(graph: Graph, device: PciDevice): BlockerCause | null {
  const { key, group: id } = device;
  if (device.bridge) return { kind: 'is-bridge', device: key };
  if (id === null || device.cdev?.startsWith('noiommu-')) return { kind: 'no-iommu', device: key };
  const group = graph.groups.get(id);
  if (group && group.holders.length > 0) {
    return { kind: 'group-in-use', device: key, group: id, by: group.holders };
  }
  const direct = group?.reserved.find((region) => region.type === 'direct');
  if (direct) return { kind: 'firmware-region', device: key, group: id, range: direct };
  const iommu = device.iommu === null ? undefined : graph.iommus.get(device.iommu);
  if (iommu?.msiIsolated === 'no' && !graph.kernel.features.includes('unsafe-interrupts')) {
    return { kind: 'msi-not-isolated', device: key, iommu: iommu.name };
  }
  return null;
}
