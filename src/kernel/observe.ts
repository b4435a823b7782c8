/**
 * One sweep over sysfs, procfs and the contexts that we hold. Synchronous and free of effects: it
 * makes no call that writes, and what it could not read it says.
 */
import type { Clock, MonotonicMs } from '../base/clock.ts';
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
  StuckCall,
} from '../graph/types.ts';
import { readVariantDrivers } from './modules-alias.ts';
import { askBound } from './observe-bound.ts';
import { ObservationCache } from './observe-cache.ts';
import type { Syscalls } from './port.ts';
import { type Holders, readHolders } from './procfs.ts';
import { Reader } from './reader.ts';
import { readGroups, readMdevs, readPciDevices } from './sysfs.ts';
import { readIommu, readIommuBoot } from './sysfs-iommu.ts';

/** What an observation starts from. */
export interface ObserveOptions {
  /** Instead of the machine's own name. */
  readonly hostName?: string;
  readonly ownPid: number;
  readonly held: readonly HeldContext[];
  readonly known: KnownFacts;
  /** What earlier observations of the host found. Absent: everything is read. */
  readonly cache?: ObservationCache;
  /** Calls of ours that do not return: what they work on is not asked, because the answer could wait for them. */
  readonly stuck?: readonly StuckCall[];
}

/** Without a memory that lasts, nothing grows old. */
const NO_TIME: Clock = { now: () => 0 as MonotonicMs, sleep: async () => undefined };

/** Observes the host. Throws nothing that the kernel could cause, but for a held file that is closed. */
export function observe(syscalls: Syscalls, options: ObserveOptions): Observation {
  const { cache = new ObservationCache(NO_TIME), stuck = [] } = options;
  cache.expire();
  const reader = new Reader(syscalls);
  const release = reader.text('/proc/sys/kernel/osrelease', null) ?? 'unknown';
  const sweep = {
    reader,
    cache,
    variantOf: variantsOf(reader, cache, release),
    stuck: new Set(stuck.flatMap(({ device }) => (device === null ? [] : [device]))),
    held: new Set(options.held.flatMap(({ devices }) => devices.map(({ key }) => key))),
  };
  const pci = readPciDevices(sweep);
  const mdevs = readMdevs(sweep);
  const groups = readGroups(sweep, pci);
  const holders = readHolders(reader, options.ownPid);
  const bound = askBound(syscalls, [...pci, ...mdevs], cache, { ...options, stuck });
  const iommus = readIommus(reader, cache).map((iommu) => withKnown(iommu, options.known));
  const here = new Set<number>(groups.map((group) => group.id));
  return {
    host: options.hostName ?? readHostName(reader),
    bootId: reader.text('/proc/sys/kernel/random/boot_id', null),
    kernel: readKernel(reader, release, [...pci, ...mdevs]),
    iommus,
    groups,
    devices: [...pci, ...mdevs]
      .map((device) => complete(device, holders, bound.tracking))
      .sort((a, b) => compareText(a.key, b.key)),
    groupHolders: [...holders.byGroup]
      .filter(([group]) => here.has(group))
      .sort(([a], [b]) => a - b)
      .flatMap(([group, list]) => list.map((holder) => ({ group: group as GroupId, holder }))),
    contexts: bound.contexts,
    unreadable: reader.failures,
    stuck,
  };
}

/** A machine whose name was never set is called `(none)` by the kernel. */
function readHostName(reader: Reader): string {
  const name = reader.text('/proc/sys/kernel/hostname', null);
  return name === null || name === '(none)' ? 'localhost' : name;
}

function variantsOf(
  reader: Reader,
  cache: ObservationCache,
  release: string,
): (modalias: string) => string | null {
  if (cache.variants?.release === release) return cache.variants.of;
  const failures = reader.failures.length;
  const variantOf = readVariantDrivers(reader, release);
  if (reader.failures.length === failures) cache.variants = { release, of: variantOf };
  return variantOf;
}

function readIommus(reader: Reader, cache: ObservationCache): readonly Iommu[] {
  return (reader.names('/sys/class/iommu', null) ?? []).map((name) => {
    const before = cache.iommus.get(name);
    if (before !== undefined) return before;
    const failures = reader.failures.length;
    cache.boot ??= readIommuBoot(reader);
    const iommu = readIommu(reader, name, cache.boot);
    if (reader.failures.length === failures) cache.iommus.set(name, iommu);
    else cache.boot = null;
    return iommu;
  });
}

function complete<D extends PciDevice | MdevDevice>(
  device: D,
  holders: Holders,
  tracking: ReadonlyMap<DeviceKey, DeviceTracking>,
): D {
  const own = device.cdev === null ? undefined : holders.byCdev.get(device.cdev);
  const facts = tracking.get(device.key);
  if (own === undefined && facts === undefined) return device;
  return { ...device, holders: own ?? [], tracking: facts ?? device.tracking };
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
