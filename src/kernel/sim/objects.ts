/**
 * The state of the model: contexts with their objects, IOMMU groups and devices. Only data and the
 * id rule; what calls do to it is in ioas.ts, hwpt.ts and device.ts.
 * Source: drivers/iommu/iommufd/iommufd_private.h (v6.12).
 */
import { assert } from '../../base/assert.ts';
import type { DeviceKey } from '../../base/ids.ts';
import type { IovaRange } from '../../base/iova.ts';
import type {
  IommuDocument,
  MdevDeviceDocument,
  PciDeviceDocument,
} from '../../spec/types.generated.ts';
import { type Fd, SyscallError } from '../port.ts';

/** A range that must not be mapped, and the object that reserves it. */
export interface Reservation extends IovaRange {
  readonly owner: object;
}

/** Memory of a process as a mapping takes it: a whole map, or the piece of one that a copy shares. */
export interface Pages {
  readonly length: bigint;
  /** The user address; null where no memory is behind it, so that it can never be pinned. */
  readonly address: bigint | null;
  /** Was the memory mapped for writing: a copy may not ask for more. */
  readonly writable: boolean;
}

/** A mapping: where it is, and the memory behind it. */
export interface Mapping extends IovaRange {
  readonly pages: Pages;
}

/** An I/O address space. */
export interface Ioas {
  readonly type: 'ioas';
  readonly id: number;
  readonly context: SimContext;
  reserved: Reservation[];
  allowed: readonly IovaRange[];
  maps: Mapping[];
  hugePages: boolean;
  readonly hwpts: Hwpt[];
  /** Whatever pins pages by itself (an mdev), with the alignment that it needs, in bytes. */
  readonly accesses: Map<object, bigint>;
}

/** A paging HWPT. */
export interface Hwpt {
  readonly type: 'hwpt';
  readonly id: number;
  readonly ioas: Ioas;
  /** Made by an attach to an IOAS id; freed with its last device. */
  auto: boolean;
  readonly dirty: boolean;
  readonly nestParent: boolean;
  readonly iommu: SimIommu;
  /** The devices on it, and the nested HWPTs above it. */
  readonly users: Set<object>;
  tracking: boolean;
  /** Numbers of the IOMMU's pages that a device wrote while tracking was on. */
  readonly dirtyPages: Set<bigint>;
}

/** A nested HWPT: a guest's page table above a paging HWPT that is its parent. */
export interface NestedHwpt {
  readonly type: 'nested';
  readonly id: number;
  readonly parent: Hwpt;
  /** The parent's. */
  readonly ioas: Ioas;
  /** Dirty pages are the parent's to track. */
  readonly dirty: false;
  tracking: false;
  readonly iommu: SimIommu;
  readonly users: Set<object>;
}

/** What a device can be on. */
export type AnyHwpt = Hwpt | NestedHwpt;

/** A DEVICE object (an mdev: ACCESS): a device that is bound to the context. */
export type BoundObject =
  | { readonly type: 'device'; readonly id: number; readonly device: SimDevice }
  | { readonly type: 'access'; readonly id: number; readonly device: SimDevice };

/** A fault queue, pinned by its file. */
export interface FaultQueue {
  readonly type: 'fault';
  readonly id: number;
  open: boolean;
}

/** An object that a test's own ioctls made, as the kernel's selftest makes them; the model makes none. */
export interface SelftestObject {
  readonly type: 'selftest';
  readonly id: number;
  /** What IOMMU_DESTROY does to it, beyond freeing the id; it may refuse. */
  destroy(): void;
}

/** Any object of a context. */
export type SimObject = Ioas | AnyHwpt | BoundObject | FaultQueue | SelftestObject;

/** One open of /dev/iommu and everything in it. It lives while a file or a bound device holds it. */
export interface SimContext {
  readonly serial: number;
  readonly objects: Map<number, SimObject>;
  /** No id below is free. */
  lowestFree: number;
  files: number;
  readonly bound: Set<SimDevice>;
  perProcessAccounting: boolean;
}

/** An IOMMU instance with unknowns taken as absent. */
export interface SimIommu {
  readonly doc: IommuDocument;
  readonly addressWidth: number;
  /** The smallest page that it maps, in bytes. */
  readonly pageSize: bigint;
  /** What its page tables translate. */
  readonly aperture: IovaRange;
  readonly snoop: boolean;
  readonly dirty: boolean;
  readonly nesting: boolean;
  /** What IOMMU_GET_HW_INFO tells of it. */
  readonly info: { readonly type: number; readonly bytes: Uint8Array };
  /** The driver data that makes a nested HWPT; null where the driver takes none. */
  readonly nestedData: NestedData | null;
}

/** `data_type` and `data_len` of IOMMU_HWPT_ALLOC, and the `data_type` of IOMMU_HWPT_INVALIDATE. */
export interface NestedData {
  readonly type: number;
  readonly lengthBytes: number;
  readonly invalidation: number;
}

/** An IOMMU group. */
export interface SimGroup {
  readonly id: number;
  readonly iommu: SimIommu | null;
  readonly reserved: readonly (IovaRange & { readonly type: string })[];
  readonly members: SimDevice[];
  owner: SimContext | null;
  hwpt: AnyHwpt | null;
  readonly attached: Set<SimDevice>;
  /** Other processes that have the legacy file /dev/vfio/N open. */
  readonly holders: SimHolder[];
}

/** Another process with an open file. */
export interface SimHolder {
  readonly pid: number;
  readonly comm: string;
  readonly uid: number;
}

/** An eventfd. What happens when it is signalled is the business of whoever opened it. */
export interface SignalFile {
  readonly type: 'eventfd';
  readonly onSignal: () => void;
}

/** A device: a PCI function or an mdev. */
export interface SimDevice {
  readonly key: DeviceKey;
  readonly pci: PciDeviceDocument | null;
  readonly mdev: MdevDeviceDocument | null;
  readonly group: SimGroup | null;
  readonly devSet: string;
  driver: string | null;
  driverOverride: string | null;
  cdev: string | null;
  present: boolean;
  /** Its driver is being taken off while we have it open: that ends with our last close. */
  leaving: { readonly ended: () => void } | null;
  /** The eventfd by which the kernel asks for it back. */
  request: SignalFile | null;
  /** Other processes that have the device file open; the first one has it bound. */
  readonly holders: SimHolder[];
  bound: {
    readonly fd: Fd;
    readonly context: SimContext;
    readonly object: BoundObject;
  } | null;
  /** An mdev's IOAS. */
  ioas: Ioas | null;
}

/** Ends a call with an errno. */
export function fail(errno: string): never {
  throw new SyscallError('ioctl', errno, 'simulated');
}

/** The lowest id that is not in use, from 1: ids are reused at once. Source: xa_limit_31b in iommufd. */
export function newId(context: SimContext): number {
  while (context.objects.has(context.lowestFree)) context.lowestFree += 1;
  return context.lowestFree;
}

/** Puts an object into its context. */
export function insert<T extends SimObject>(context: SimContext, object: T): T {
  assert(!context.objects.has(object.id), `id ${object.id} is free`);
  context.objects.set(object.id, object);
  return object;
}

/** Takes an object out of its context; its id is free at once. */
export function remove(context: SimContext, id: number): void {
  context.objects.delete(id);
  context.lowestFree = Math.min(context.lowestFree, id);
}

/** The object of that id and type; ENOENT for anything else. */
export function find<T extends SimObject['type']>(
  context: SimContext,
  id: number,
  type: T,
): Extract<SimObject, { type: T }> {
  const object = context.objects.get(id);
  if (object?.type !== type) fail('ENOENT');
  return object as Extract<SimObject, { type: T }>;
}
