/**
 * What an observation need not read again: facts that stay while a device stays. Whoever hears that
 * something changed says so; after five minutes nothing is believed any more. Drivers, device files,
 * overrides, holders and ids of page tables are never kept here.
 */
import type { Clock } from '../base/clock.ts';
import type { Bdf, DevId, DeviceKey, GroupId } from '../base/ids.ts';
import type { DeviceTracking, Group, Iommu, MdevDevice, PciDevice } from '../graph/types.ts';
import type { IommuBoot } from './sysfs-iommu.ts';

/** A function as it was last seen, and the inode of its directory: another one is another device. */
export interface SeenPci {
  /** `READ_AGAIN`: nothing of it is believed any more; it is kept for a device that must not be touched. */
  readonly inode: number;
  readonly device: PciDevice;
}

/** A group as it was last read. Not current: it is read again, unless a member must not be touched. */
export interface SeenGroup {
  readonly group: Group;
  readonly isCurrent: boolean;
}

/** What a bound device answered. It holds while the same files are bound under the same driver. */
export interface BoundFacts {
  readonly iommufd: number;
  readonly fd: number;
  readonly devId: DevId;
  readonly driver: string | null;
  readonly tracking: DeviceTracking;
  /** Can its IOMMU track; null for an mdev. */
  readonly hwInfo: boolean | null;
}

/** An inode that no directory has. */
const READ_AGAIN = -1;

const AGE_MAX_MS = 300_000;

/** The memory of the observations of one host. */
export class ObservationCache {
  readonly #clock: Clock;
  #since: number;
  readonly pci = new Map<Bdf, SeenPci>();
  readonly mdevs = new Map<DeviceKey, MdevDevice>();
  readonly groups = new Map<GroupId, SeenGroup>();
  readonly iommus = new Map<string, Iommu>();
  readonly bound = new Map<DeviceKey, BoundFacts>();
  boot: IommuBoot | null = null;
  /** The variant drivers of a kernel release. */
  variants: { readonly release: string; readonly of: (modalias: string) => string | null } | null =
    null;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#since = clock.now();
  }

  /** Something about the device changed: it, and the group that it is in, are read anew. */
  invalidate(key: DeviceKey): void {
    const seen = this.pci.get(key as Bdf);
    if (seen !== undefined) {
      this.pci.set(seen.device.key, { ...seen, inode: READ_AGAIN });
      if (seen.device.group !== null) this.invalidateGroup(seen.device.group);
    }
    this.bound.delete(key);
  }

  /** Takes over what a sweep has seen. The groups of those that went are read again. */
  replacePci(here: ReadonlyMap<Bdf, SeenPci>): void {
    for (const [bdf, { device }] of this.pci) {
      const isHere = here.get(bdf)?.device.group === device.group;
      if (!isHere && device.group !== null) this.invalidateGroup(device.group);
    }
    this.pci.clear();
    for (const [bdf, seen] of here) this.pci.set(bdf, seen);
  }

  /** Takes over what bound devices answered; of those that are not bound any more nothing is kept. */
  replaceBound(bound: ReadonlyMap<DeviceKey, BoundFacts>): void {
    this.bound.clear();
    for (const [key, facts] of bound) this.bound.set(key, facts);
  }

  /** A member of the group came, went or changed. */
  invalidateGroup(id: GroupId): void {
    const seen = this.groups.get(id);
    if (seen !== undefined) this.groups.set(id, { ...seen, isCurrent: false });
  }

  /** Anything may have changed: events were lost, or modules were loaded. */
  invalidateAll(): void {
    this.#since = this.#clock.now();
    for (const key of this.pci.keys()) this.invalidate(key);
    for (const id of this.groups.keys()) this.invalidateGroup(id);
    this.iommus.clear();
    this.bound.clear();
    this.boot = null;
    this.variants = null;
  }

  /** Forgets everything that has been believed for too long. An observation begins with it. */
  expire(): void {
    if (this.#clock.now() - this.#since >= AGE_MAX_MS) this.invalidateAll();
  }
}
