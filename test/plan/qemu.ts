/**
 * QEMU's way to do an edit, as a yardstick: `iommufd_cdev_autodomains_get` and `_put` of hw/vfio/iommufd.c
 * (9.1 and later) in our own words, on a model of the kernel. Only calls that change something count, as
 * with ours: its GET_HW_INFO does not.
 *
 * An edit is done as kindly to QEMU as one can. What leaves is unplugged first and what comes is plugged
 * in by address. A device that stays in its context is not closed but detached and attached anew, and
 * only if its HWPT must change. IOAS and context stay where something of them is wanted afterwards.
 */
import { accepts, type SmallIommu } from './kernel.ts';

/** A device: its group and its IOMMU (by place); null for an mdev, which has neither. */
export type QemuDevice = { readonly group: string; readonly iommu: number } | null;

/** Where a device is or shall be. `tracked`: its HWPT must be able to track dirty pages. */
export interface QemuWish {
  readonly context: string;
  readonly container: string;
  readonly tracked: boolean;
}

/** A HWPT that is there before the edit. */
export interface QemuHwpt {
  readonly home: string;
  readonly dirty: boolean;
  readonly madeFor: number;
  readonly devices: Set<string>;
}

/** What is there before the edit. IOASes are `CONTEXT/CONTAINER`. */
export interface QemuState {
  readonly contexts: Set<string>;
  readonly ioases: Set<string>;
  /** The context of each open device. */
  readonly bound: Map<string, string>;
  /** The IOAS of each attached mdev. */
  readonly mdevs: Map<string, string>;
  /** Oldest first. */
  readonly hwpts: QemuHwpt[];
}

/** What the edit came to. */
export interface QemuResult {
  readonly calls: number;
  /** Attaches that the kernel refused with EINVAL. */
  readonly refused: number;
  /**
   * True where it comes to what was wanted: who must be tracked is on a HWPT that can, and nobody was put
   * on a HWPT that enforces snooping otherwise than its own IOMMU, which we never do for one HWPT less.
   */
  readonly met: boolean;
}

/** Does the edit. `state` is changed. */
export function qemuEdit(
  host: {
    readonly iommus: readonly SmallIommu[];
    readonly devices: ReadonlyMap<string, QemuDevice>;
  },
  state: QemuState,
  wishes: ReadonlyMap<string, QemuWish>,
): QemuResult {
  const edit = new Edit(host, state);
  edit.unplug(wishes);
  for (const [device, wish] of [...wishes].sort(([a], [b]) => (a < b ? -1 : 1))) {
    edit.plug(device, wish);
  }
  edit.tidy(wishes);
  return { calls: edit.calls, refused: edit.refused, met: edit.isMet(wishes) };
}

function homeOf({ context, container }: QemuWish): string {
  return `${context}/${container}`;
}

class Edit {
  calls = 0;
  refused = 0;
  readonly #host: Parameters<typeof qemuEdit>[0];
  readonly #state: QemuState;
  /** Devices that share a HWPT with others that snoop otherwise. */
  readonly #mixed = new Set<string>();

  constructor(host: Parameters<typeof qemuEdit>[0], state: QemuState) {
    this.#host = host;
    this.#state = state;
  }

  /** What leaves is detached and closed; what is on a wrong page table is detached. */
  unplug(wishes: ReadonlyMap<string, QemuWish>): void {
    for (const [device, context] of [...this.#state.bound]) {
      const wish = wishes.get(device);
      const stays = wish?.context === context;
      if (!stays || !this.#isRight(device, wish)) this.#put(device);
      if (stays) continue;
      this.#state.bound.delete(device);
      this.calls += 1;
    }
  }

  plug(device: string, wish: QemuWish): void {
    const { bound, contexts, ioases } = this.#state;
    if (!contexts.has(wish.context)) this.calls += 1;
    contexts.add(wish.context);
    if (!bound.has(device)) this.calls += 2;
    bound.set(device, wish.context);
    if (this.#homeOfAttached(device) !== null) return;
    if (!ioases.has(homeOf(wish))) this.calls += 1;
    ioases.add(homeOf(wish));
    this.#get(device, homeOf(wish));
  }

  /** IOASes and contexts that nothing is wanted in. */
  tidy(wishes: ReadonlyMap<string, QemuWish>): void {
    const homes = new Set([...wishes.values()].map(homeOf));
    const contexts = new Set([...wishes.values()].map(({ context }) => context));
    this.calls += [...this.#state.ioases].filter((home) => !homes.has(home)).length;
    this.calls += [...this.#state.contexts].filter((context) => !contexts.has(context)).length;
  }

  isMet(wishes: ReadonlyMap<string, QemuWish>): boolean {
    const none = this.#mixed.size === 0;
    return none && [...wishes].every(([device, wish]) => this.#isRight(device, wish));
  }

  #hwptOf(device: string): QemuHwpt | undefined {
    return this.#state.hwpts.find(({ devices }) => devices.has(device));
  }

  #homeOfAttached(device: string): string | null {
    return this.#hwptOf(device)?.home ?? this.#state.mdevs.get(device) ?? null;
  }

  #isRight(device: string, wish: QemuWish): boolean {
    const tracks = !wish.tracked || this.#hwptOf(device)?.dirty === true;
    return this.#homeOfAttached(device) === homeOf(wish) && tracks;
  }

  /** Detach, then free the HWPT with its last device. */
  #put(device: string): void {
    const { mdevs, hwpts } = this.#state;
    const hwpt = this.#hwptOf(device);
    if (mdevs.delete(device)) this.calls += 1;
    if (hwpt === undefined) return;
    hwpt.devices.delete(device);
    this.calls += 1;
    if (hwpt.devices.size > 0) return;
    hwpts.splice(hwpts.indexOf(hwpt), 1);
    this.calls += 1;
  }

  /** Every HWPT of the container, newest first; EINVAL means the next; else one of its own. */
  #get(device: string, home: string): void {
    const facts = this.#host.devices.get(device) ?? null;
    if (facts === null) {
      this.calls += 1;
      this.#state.mdevs.set(device, home);
      return;
    }
    for (const hwpt of [...this.#state.hwpts].reverse()) {
      if (hwpt.home !== home) continue;
      this.calls += 1;
      if (this.#takes(hwpt, facts)) {
        const { iommus } = this.#host;
        const alike = iommus[hwpt.madeFor]?.snoop === iommus[facts.iommu]?.snoop;
        if (!alike) this.#mixed.add(device);
        hwpt.devices.add(device);
        return;
      }
      this.refused += 1;
    }
    const dirty = this.#host.iommus[facts.iommu]?.dirty ?? false;
    const madeFor = facts.iommu;
    this.#state.hwpts.push({ home, dirty, madeFor, devices: new Set([device]) });
    this.calls += 2;
  }

  /** A group whose mate is attached takes that HWPT and no other. */
  #takes(hwpt: QemuHwpt, { group, iommu }: NonNullable<QemuDevice>): boolean {
    const isMate = (device: string): boolean => this.#host.devices.get(device)?.group === group;
    const withMate = this.#state.hwpts.find(({ devices }) => [...devices].some(isMate));
    if (withMate !== undefined) return withMate === hwpt;
    return accepts(this.#host, { ...hwpt, home: 0 }, iommu);
  }
}
