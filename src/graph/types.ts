/**
 * What is there. An Observation holds facts, each as it was read; a Graph holds the conclusions
 * that the planner works on. Nothing in either is about what ought to be there.
 */
import type { Bdf, DevId, DeviceKey, GroupId, HwptId, IoasId, MdevUuid } from '../base/ids.ts';
import type { IovaRange } from '../base/iova.ts';

/** A capability that sysfs or the kernel told us, or did not. `unknown` is never taken for yes or no. */
export type Capability = 'yes' | 'no' | 'unknown';

/** The kernel that runs: its release and what of iommufd and VFIO it offers. */
export interface KernelFacts {
  readonly release: string;
  /** Sorted. Known words: `iommufd`, `vfio-cdev`, `vfio-pci`, `unsafe-interrupts`, `noiommu`. */
  readonly features: readonly string[];
}

/** Families of IOMMU whose rules for sharing a HWPT we know. */
export type IommuType = 'intel' | 'amd' | 'arm-smmu-v3' | 'virtio' | 'other';

/** One IOMMU instance: a DMAR unit, an IVHD, an SMMU. Source: /sys/class/iommu/NAME. */
export interface Iommu {
  readonly name: string;
  readonly type: IommuType;
  /** Bits of IOVA that a page table of this unit translates; null where sysfs does not say. */
  readonly addressWidth: number | null;
  readonly coherentWalk: Capability;
  readonly snoopControl: Capability;
  readonly dirtyTracking: Capability;
  readonly nesting: Capability;
  /** Page sizes in bytes, ascending; empty where sysfs does not say. */
  readonly pageSizes: readonly bigint[];
  /** False where interrupts are not remapped, so that BIND is refused unless unsafe interrupts are allowed. */
  readonly msiIsolated: Capability;
}

/** A region that a group reserves in the IOVA space. `direct` makes BIND fail; `direct-relaxable` is ignored by iommufd. */
export interface ReservedRegion extends IovaRange {
  readonly type: 'msi' | 'reserved' | 'direct' | 'direct-relaxable';
}

/** An IOMMU group: functions that the hardware cannot tell apart. */
export interface Group {
  readonly id: GroupId;
  readonly iommu: string | null;
  readonly reserved: readonly ReservedRegion[];
  /** Every PCI function of the group, bridges included, sorted. */
  readonly members: readonly Bdf[];
}

/** A process that has a file open that matters. Never its arguments. */
export interface Holder {
  readonly pid: number;
  readonly comm: string;
  readonly uid: number | null;
}

/** What a device can track by itself. Source: VFIO_DEVICE_FEATURE probes, or a Host file. */
export interface DeviceTracking {
  /** DMA logging. */
  readonly device: Capability;
  /** Migration flags, sorted: `stop-copy`, `p2p`, `pre-copy`. Null where nobody could ask. */
  readonly migration: readonly string[] | null;
}

interface DeviceFacts {
  /** Name of the bound driver; null without one. */
  readonly driver: string | null;
  /** Name under /dev/vfio/devices, such as `vfio3`; changes between boots. */
  readonly cdev: string | null;
  /** Processes other than ours that have the device's own file open. */
  readonly holders: readonly Holder[];
  readonly tracking: DeviceTracking;
}

/** A PCI function. */
export interface PciDevice extends DeviceFacts {
  readonly kind: 'pci';
  readonly key: Bdf;
  /** Four hex digits, lower case. */
  readonly vendor: string;
  /** Four hex digits, lower case. */
  readonly device: string;
  /** Six hex digits, lower case. */
  readonly class: string;
  /** Null where the firmware does not say. */
  readonly numaNode: number | null;
  /** Set for a VF: its physical function and its index there. */
  readonly vf: { readonly pf: Bdf; readonly index: number } | null;
  /** Header type 1. Bridges are never selected, claimed or counted as group mates. */
  readonly bridge: boolean;
  /** Null: no IOMMU translates this device, so it is never used. */
  readonly group: GroupId | null;
  readonly iommu: string | null;
  /** Devices with the same value are reset, bound and attached under one lock (VFIO's dev_set). */
  readonly devSet: string;
  /** Reset methods in the kernel's order (`flr`, `pm`, `bus`); empty without any. */
  readonly reset: readonly string[];
  /** Content of driver_override; null when unset. */
  readonly driverOverride: string | null;
  /** The most specific `vfio_pci:` alias that matches, by driver name; null: vfio-pci itself. */
  readonly variantDriver: string | null;
}

/** A mediated device: it has no IOMMU domain and attaches to an IOAS. */
export interface MdevDevice extends DeviceFacts {
  readonly kind: 'mdev';
  readonly key: MdevUuid;
  readonly parent: string;
  readonly type: string;
}

/** A device of the host, in use or not. */
export type Device = PciDevice | MdevDevice;

/** A fact that could not be read: nothing is planned from it. */
export interface ReadFailure {
  /** The path, or the ioctl with its object. */
  readonly what: string;
  readonly errno: string;
  /** The device, group (`group:4`), IOMMU (`iommu:dmar0`) or context (`context:NAME`) it is about; null for the whole host. */
  readonly about: string | null;
}

/** What a HWPT can do and does about dirty pages. */
export type DirtyState = 'none' | 'capable' | 'active';

/** The journal's word on a paging HWPT that we allocated. */
export interface HeldHwpt {
  readonly id: HwptId;
  readonly dirtyTracking: DirtyState;
  readonly nesting: boolean;
  /** The IOMMU instance of the device it was allocated for: aperture and snooping derive from it. */
  readonly iommu: string | null;
}

/** What the operator last said of removing a container; remembered, because a file that is gone cannot say it. */
export type DeletionPolicy = 'allow' | 'confirm' | 'protect';

/** The journal's word on a container: one IOAS and its HWPTs in the order of allocation. */
export interface HeldContainer {
  readonly name: string;
  readonly ioas: IoasId;
  readonly allow: readonly IovaRange[];
  readonly hugePages: boolean;
  readonly deletion: DeletionPolicy;
  readonly hwpts: readonly HeldHwpt[];
}

/** The journal's word on a device file that we hold, bound to the context. */
export interface HeldDevice {
  readonly key: DeviceKey;
  readonly fd: number;
  readonly devId: DevId;
  /** The id it is attached to: a HWPT, or for an mdev the IOAS. Null: bound, not attached. */
  readonly pt: HwptId | IoasId | null;
}

/** The journal's word on one iommufd context. */
export interface HeldContext {
  readonly name: string;
  readonly fd: number;
  /** What a recovery found that the journal cannot explain; any one blocks the context. */
  readonly doubts?: readonly string[];
  readonly containers: readonly HeldContainer[];
  readonly devices: readonly HeldDevice[];
}

/** What a probe of one journaled id found. */
export interface ProbedObject {
  readonly id: number;
  readonly journaled: 'ioas' | 'hwpt' | 'hwpt-dirty' | 'device' | 'mdev';
  /** `untyped`: nothing, or an object that this kernel does not tell apart from nothing (an mdev's ACCESS). */
  readonly found: 'ioas' | 'hwpt' | 'hwpt-dirty' | 'device' | 'untyped';
}

/** A context that we hold, as the journal has it, with the kernel's answers. */
export interface ObservedContext {
  readonly held: HeldContext;
  readonly probed: readonly ProbedObject[];
  /** Bound physical devices whose IOMMU answered IOMMU_GET_HW_INFO, with its dirty-tracking bit. */
  readonly hwInfo: readonly { readonly key: DeviceKey; readonly dirtyTracking: boolean }[];
}

/** One sweep over sysfs, procfs and the held contexts. Lists are sorted by their key. */
export interface Observation {
  readonly host: string;
  /** /proc/sys/kernel/random/boot_id; null where it could not be read. */
  readonly bootId: string | null;
  readonly kernel: KernelFacts;
  readonly iommus: readonly Iommu[];
  readonly groups: readonly Group[];
  readonly devices: readonly Device[];
  /** Open legacy group files /dev/vfio/N of other processes. */
  readonly groupHolders: readonly { readonly group: GroupId; readonly holder: Holder }[];
  readonly contexts: readonly ObservedContext[];
  readonly unreadable: readonly ReadFailure[];
  readonly stuck: readonly StuckCall[];
}

/**
 * Names an object of a context in plans and graphs: `#3` for the id that it has, `+NAME.h1` for
 * one that a step will make. Ids do not exist before apply, and are reused at once after a free.
 */
export type ObjectRef = string & { readonly __id: 'ref' };

/** A paging HWPT of a container. */
export interface Hwpt {
  readonly ref: ObjectRef;
  readonly dirtyTracking: DirtyState;
  readonly nesting: boolean;
  readonly iommu: string | null;
}

/** A container as it lives: one IOAS and its HWPTs, in the order of allocation. */
export interface LiveContainer {
  readonly name: string;
  readonly ioas: ObjectRef;
  readonly allow: readonly IovaRange[];
  readonly hugePages: boolean;
  readonly deletion: DeletionPolicy;
  readonly hwpts: ReadonlyMap<ObjectRef, Hwpt>;
}

/** Where a bound device is attached: in a container, to one of its HWPTs or (an mdev) to its IOAS. */
export interface Attachment {
  readonly container: string;
  readonly pt: ObjectRef;
}

/** A device that we hold: bound to the context, attached or not. */
export interface BoundDevice {
  readonly key: DeviceKey;
  readonly attachment: Attachment | null;
}

/** An iommufd context that we hold. */
export interface Context {
  readonly name: string;
  readonly containers: ReadonlyMap<string, LiveContainer>;
  readonly devices: ReadonlyMap<DeviceKey, BoundDevice>;
  /** What the probes contradict and what a recovery could not explain; non-empty: nothing is planned in this context. */
  readonly contradictions: readonly string[];
}

/** A call of ours that is past its deadline: what it works on is left alone until it returns. */
export interface StuckCall {
  /** The ioctl, `close`, or `write` with the name of the file. */
  readonly call: string;
  /** The action that it belongs to, in words. */
  readonly action: string;
  readonly device: DeviceKey | null;
  readonly context: string | null;
  /** How long it has been in the kernel, in milliseconds. */
  readonly ageMs: number;
}

/** The live (or predicted) state of one host. */
export interface Graph {
  readonly host: string;
  readonly bootId: string | null;
  readonly kernel: KernelFacts;
  readonly iommus: ReadonlyMap<string, Iommu>;
  readonly groups: ReadonlyMap<GroupId, Group & { readonly holders: readonly Holder[] }>;
  readonly devices: ReadonlyMap<DeviceKey, Device>;
  readonly contexts: ReadonlyMap<string, Context>;
  readonly unreadable: readonly ReadFailure[];
  /** Calls of ours that do not return. Of what they work on, the graph says what was last known. */
  readonly stuck: readonly StuckCall[];
}

/**
 * Facts that sysfs cannot say and that somebody else established: a Host file, or a probe of a
 * device that was bound earlier. They fill what an observation leaves unknown and override nothing.
 */
export interface KnownFacts {
  /** By IOMMU name. */
  readonly iommus: ReadonlyMap<string, Partial<Omit<Iommu, 'name'>>>;
  readonly tracking: ReadonlyMap<DeviceKey, DeviceTracking>;
}
