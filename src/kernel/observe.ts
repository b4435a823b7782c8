/**
 * One sweep over sysfs, procfs and the contexts that we hold. Synchronous and free of effects: it
 * makes no call that writes, and what it could not read it says.
 */
import { compareText, type DeviceKey, type GroupId } from '../base/ids.ts';
import type {
  Device,
  DeviceTracking,
  HeldContext,
  Iommu,
  KernelFacts,
  KnownFacts,
  MdevDevice,
  Observation,
  PciDevice,
} from '../graph/types.ts';
import { KernelError } from './call.ts';
import { readVariantDrivers } from './modules-alias.ts';
import type { Fd, Syscalls } from './port.ts';
import { probeContext } from './probe.ts';
import { type Holders, readHolders } from './procfs.ts';
import { Reader } from './reader.ts';
import { readGroups, readMdevs, readPciDevices } from './sysfs.ts';
import { readIommu, readIommuBoot } from './sysfs-iommu.ts';
import { FEATURE_DMA_LOGGING_START, FEATURE_MIGRATION } from './uapi/vfio.ts';
import { hasFeature, readFeature } from './vfio.ts';

/** What an observation starts from. */
export interface ObserveOptions {
  /** Instead of the machine's own name. */
  readonly hostName?: string;
  readonly ownPid: number;
  readonly held: readonly HeldContext[];
  /** Devices that could not be reset, with the reason; they are only passed on. */
  readonly tainted?: ReadonlyMap<DeviceKey, string>;
  readonly known: KnownFacts;
}

/** Observes the host. Throws nothing that the kernel could cause, but for a held file that is closed. */
export function observe(syscalls: Syscalls, options: ObserveOptions): Observation {
  const reader = new Reader(syscalls);
  const release = reader.text('/proc/sys/kernel/osrelease', null) ?? 'unknown';
  const boot = readIommuBoot(reader);
  const pci = readPciDevices(reader, readVariantDrivers(reader, release));
  const mdevs = readMdevs(reader);
  const groups = readGroups(reader, pci);
  const holders = readHolders(reader, options.ownPid);
  const tracking = readTracking(syscalls, options);
  const iommus = (reader.names('/sys/class/iommu', null) ?? []).map((name) =>
    withKnown(readIommu(reader, name, boot), options.known),
  );
  const here = new Set<number>(groups.map((group) => group.id));
  return {
    host: options.hostName ?? readHostName(reader),
    bootId: reader.text('/proc/sys/kernel/random/boot_id', null),
    kernel: readKernel(reader, release, [...pci, ...mdevs]),
    iommus,
    groups,
    devices: [...pci, ...mdevs]
      .map((device) => complete(device, holders, tracking))
      .sort((a, b) => compareText(a.key, b.key)),
    groupHolders: [...holders.byGroup]
      .filter(([group]) => here.has(group))
      .sort(([a], [b]) => a - b)
      .flatMap(([group, list]) => list.map((holder) => ({ group: group as GroupId, holder }))),
    tainted: options.tainted ?? new Map(),
    contexts: options.held.map((held) => probeContext(syscalls, held)),
    unreadable: reader.failures,
  };
}

/** A machine whose name was never set is called `(none)` by the kernel. */
function readHostName(reader: Reader): string {
  const name = reader.text('/proc/sys/kernel/hostname', null);
  return name === null || name === '(none)' ? 'localhost' : name;
}

function complete<D extends PciDevice | MdevDevice>(
  device: D,
  holders: Holders,
  tracking: ReadonlyMap<DeviceKey, DeviceTracking>,
): D {
  return {
    ...device,
    holders: device.cdev === null ? [] : (holders.byCdev.get(device.cdev) ?? []),
    tracking: tracking.get(device.key) ?? device.tracking,
  };
}

function readKernel(reader: Reader, release: string, devices: readonly Device[]): KernelFacts {
  const has = (path: string): boolean => reader.names(path, null) !== null;
  const dev = new Set(reader.names('/dev', null) ?? []);
  const vfio = new Set(reader.names('/dev/vfio', null) ?? []);
  const parameter = (path: string): boolean => reader.text(`/sys/module/${path}`, null) === 'Y';
  const noIommu =
    parameter('vfio/parameters/enable_unsafe_noiommu_mode') ||
    devices.some((device) => device.cdev?.startsWith('noiommu-'));
  const features = [
    ...(dev.has('iommu') ? ['iommufd'] : []),
    ...(noIommu ? ['noiommu'] : []),
    ...(parameter('iommufd/parameters/allow_unsafe_interrupts') ? ['unsafe-interrupts'] : []),
    ...(vfio.has('devices') || has('/sys/class/vfio-dev') ? ['vfio-cdev'] : []),
    ...(has('/sys/bus/pci/drivers/vfio-pci') ? ['vfio-pci'] : []),
  ];
  return { release, features };
}

/** What sysfs leaves unknown, from facts that were established elsewhere. */
function withKnown(iommu: Iommu, known: KnownFacts): Iommu {
  const more = known.iommus.get(iommu.name);
  if (more === undefined) return iommu;
  const unknown = <T>(value: T, other: T | undefined, isUnknown: boolean): T =>
    isUnknown && other !== undefined ? other : value;
  const capability = (
    name: 'coherentWalk' | 'snoopControl' | 'dirtyTracking' | 'nesting' | 'msiIsolated',
  ): Iommu[typeof name] => unknown(iommu[name], more[name], iommu[name] === 'unknown');
  return {
    name: iommu.name,
    type: unknown(iommu.type, more.type, iommu.type === 'other'),
    addressWidth: unknown(iommu.addressWidth, more.addressWidth, iommu.addressWidth === null),
    coherentWalk: capability('coherentWalk'),
    snoopControl: capability('snoopControl'),
    dirtyTracking: capability('dirtyTracking'),
    nesting: capability('nesting'),
    pageSizes: unknown(iommu.pageSizes, more.pageSizes, iommu.pageSizes.length === 0),
    msiIsolated: capability('msiIsolated'),
  };
}

const MIGRATION_FLAGS = ['stop-copy', 'p2p', 'pre-copy'] as const;

/** Bound devices can be asked what they track; the others only have what is known of them. */
function readTracking(
  syscalls: Syscalls,
  { held, known }: ObserveOptions,
): ReadonlyMap<DeviceKey, DeviceTracking> {
  const tracking = new Map(known.tracking);
  for (const { devices } of held) {
    for (const { key, fd } of devices) {
      tracking.set(key, trackingOf(syscalls, fd as Fd));
    }
  }
  return tracking;
}

/** A driver that answers a probe with anything but yes or ENOTTY leaves it unknown. */
function trackingOf(syscalls: Syscalls, fd: Fd): DeviceTracking {
  try {
    const logs = hasFeature(syscalls, fd, FEATURE_DMA_LOGGING_START);
    const bits = hasFeature(syscalls, fd, FEATURE_MIGRATION)
      ? readFeature(syscalls, fd, FEATURE_MIGRATION)
      : 0n;
    const migration = MIGRATION_FLAGS.filter((_, bit) => ((bits >> BigInt(bit)) & 1n) === 1n);
    return { device: logs ? 'yes' : 'no', migration: migration.toSorted(compareText) };
  } catch (error) {
    if (error instanceof KernelError) return { device: 'unknown', migration: null };
    throw error;
  }
}
