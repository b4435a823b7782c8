/** Questions that several rules ask of a graph. Each has one answer, here. */
import type { Bdf, DeviceKey, GroupId } from '../base/ids.ts';
import type { BoundDevice, Context, Device, Graph, ObjectRef, PciDevice } from './types.ts';

/** Where a device that we hold is: the context and what it knows of the device. */
export interface Holding {
  readonly context: string;
  readonly device: BoundDevice;
}

/** Every device that we hold, by key. Build it once for a pass: it walks all contexts. */
export function holdingsOf(graph: Graph): ReadonlyMap<DeviceKey, Holding> {
  const holdings = new Map<DeviceKey, Holding>();
  for (const context of graph.contexts.values()) {
    for (const device of context.devices.values()) {
      holdings.set(device.key, { context: context.name, device });
    }
  }
  return holdings;
}

/** The IOMMU group of a device; null for an mdev and for a device without an IOMMU. */
export function groupOf(device: Device): GroupId | null {
  return device.kind === 'pci' ? device.group : null;
}

/** The functions of a group that can do DMA of their own: bridges left out. */
export function endpointsOf(graph: Graph, group: GroupId): readonly PciDevice[] {
  const members: readonly Bdf[] = graph.groups.get(group)?.members ?? [];
  const endpoints: PciDevice[] = [];
  for (const bdf of members) {
    const device = graph.devices.get(bdf);
    if (device?.kind === 'pci' && !device.bridge) endpoints.push(device);
  }
  return endpoints;
}

/** Devices that are attached to an object of the context, in the order of the context's devices. */
export function attachedTo(context: Context, pt: ObjectRef): readonly DeviceKey[] {
  const keys: DeviceKey[] = [];
  for (const device of context.devices.values()) {
    if (device.attachment?.pt === pt) keys.push(device.key);
  }
  return keys;
}

/** The context that has a container of that name, or null. Container names are unique on a host. */
export function contextOfContainer(graph: Graph, container: string): Context | null {
  for (const context of graph.contexts.values()) {
    if (context.containers.has(container)) return context;
  }
  return null;
}

/** Drivers that leave DMA to others or own it safely, so that a group with them stays viable. Source: v6.12, drivers with `driver_managed_dma`. */
const DMA_SAFE_DRIVERS = new Set(['pci-stub', 'pcieport', 'vfio-pci', 'vfio-platform']);

/** True for vfio-pci and its variants: the driver through which a device file exists. */
export function isVfioDriver(name: string): boolean {
  return /^vfio[-_]pci$|[-_]vfio[-_]pci$/.test(name);
}

/** True where a member on this driver does not keep the group from being claimed. */
export function isDmaSafeDriver(name: string): boolean {
  return DMA_SAFE_DRIVERS.has(name) || isVfioDriver(name);
}

/**
 * Was the removal of a device that we hold asked for? Its file and its driver vanish from sysfs at
 * once, but whoever asked sleeps in the kernel until our last close.
 */
export function isBeingRemoved(graph: Graph, key: DeviceKey): boolean {
  const device = graph.devices.get(key);
  return device === undefined || (device.driver === null && device.cdev === null);
}
