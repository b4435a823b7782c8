/**
 * Which steps must not run at once. Devices share a lane when they are connected through a dev_set
 * or an IOMMU group: VFIO works on them under one lock, and two first attaches of a group would
 * race. Objects of one context share a lane, because the kernel reuses ids at once.
 */
import type { DeviceKey } from '../base/ids.ts';
import { UnionFind } from '../base/union-find.ts';
import type { Graph } from '../graph/types.ts';

/** The lane of each device, and of each context. */
export interface Lanes {
  ofDevice(key: DeviceKey): string;
  ofContext(name: string): string;
}

/** The lanes of a host. */
export function lanesOf(graph: Graph): Lanes {
  const sets = new UnionFind();
  for (const device of graph.devices.values()) {
    if (device.kind !== 'pci') continue;
    sets.join(device.key, `~set ${device.devSet}`);
    if (device.group !== null) sets.join(device.key, `~group ${device.group}`);
  }
  return {
    ofDevice: (key) => `device ${sets.find(key)}`,
    ofContext: (name) => `context ${name}`,
  };
}
