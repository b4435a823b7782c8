/**
 * What the kernel allows on a small host, one function an operation: the new state, or null where it
 * refuses. Written from the kernel's rules and not from the planner's. What we forbid ourselves beyond
 * them is under `OUR RULES`, each with its reason. Not here: which operations lead where (search.ts).
 */

/** An IOMMU, as far as its driver's attach check looks at it. */
export interface SmallIommu {
  readonly type: 'intel' | 'amd' | 'arm-smmu-v3';
  readonly width: number;
  readonly dirty: boolean;
  readonly snoop: boolean;
  readonly coherent: boolean;
}

/** A group of a small host: its devices by number, and the IOMMU behind it. */
export interface SmallGroup {
  readonly devices: readonly number[];
  readonly iommu: number;
}

/** A small host. Containers and contexts are numbers as well: 0 and 1 of each. */
export interface SmallHost {
  readonly iommus: readonly SmallIommu[];
  readonly groups: readonly SmallGroup[];
}

/** How many containers and contexts there are. */
export const CONTAINERS = 2;
export const CONTEXTS = 2;

/** The place of an IOAS: that of a container in a context. */
export function homeOf(container: number, context: number): number {
  return container * CONTEXTS + context;
}

/** The context of an IOAS by its place. */
export function contextOf(home: number): number {
  return home % CONTEXTS;
}

/** A HWPT: its IOAS, whether it tracks, and the IOMMU that it was made for. */
export interface SmallHwpt {
  readonly home: number;
  readonly dirty: boolean;
  readonly madeFor: number;
}

/** A state of a small host. */
export interface SmallState {
  /** The context that each device is bound in; -1: closed. */
  readonly bound: readonly number[];
  /** The HWPT (by place) that each device is attached to; -1: none. */
  readonly on: readonly number[];
  readonly hwpts: readonly (SmallHwpt | null)[];
  /** Which IOASes there are, by home; which contexts are open. */
  readonly ioas: readonly boolean[];
  readonly open: readonly boolean[];
}

/** Nothing is held. */
export function emptyState(host: SmallHost): SmallState {
  const closed = host.groups.flatMap((group) => group.devices.map(() => -1));
  return {
    bound: closed,
    on: closed,
    hwpts: [],
    ioas: Array.from({ length: CONTAINERS * CONTEXTS }, () => false),
    open: Array.from({ length: CONTEXTS }, () => false),
  };
}

/** open of /dev/iommu. */
export function openContext(state: SmallState, context: number): SmallState | null {
  return state.open[context] ? null : { ...state, open: state.open.with(context, true) };
}

/**
 * close of a context's file. OUR RULES: the kernel would free IOASes and HWPTs with it; we free each
 * ourselves, because only a destroy says who still uses an object, and because a close frees nothing
 * while somebody else has the file.
 */
export function closeContext(state: SmallState, context: number): SmallState | null {
  const used =
    state.ioas.some((exists, home) => exists && contextOf(home) === context) ||
    state.bound.includes(context);
  return !state.open[context] || used ? null : { ...state, open: state.open.with(context, false) };
}

/** IOMMU_IOAS_ALLOC. OUR RULES: an IOAS is one container's for life, whose consumer maps into it. */
export function allocIoas(state: SmallState, home: number): SmallState | null {
  if (!state.open[contextOf(home)] || state.ioas[home]) return null;
  return { ...state, ioas: state.ioas.with(home, true) };
}

/** IOMMU_DESTROY of an IOAS: EBUSY while it has a HWPT. */
export function destroyIoas(state: SmallState, home: number): SmallState | null {
  if (!state.ioas[home] || state.hwpts.some((hwpt) => hwpt?.home === home)) return null;
  return { ...state, ioas: state.ioas.with(home, false) };
}

/** open and VFIO_DEVICE_BIND_IOMMUFD: EPERM where a group mate is in another context. */
export function bind(
  state: SmallState,
  group: SmallGroup,
  device: number,
  context: number,
): SmallState | null {
  if (!state.open[context] || state.bound[device] !== -1) return null;
  const elsewhere = group.devices.some((mate) => ![-1, context].includes(state.bound[mate] ?? -1));
  return elsewhere ? null : { ...state, bound: state.bound.with(device, context) };
}

/**
 * close of a device file. OUR RULES: it is detached before, although a close would do that as well:
 * the outage then is a step of its own, and its HWPT can go before a close that may take seconds.
 */
export function closeDevice(state: SmallState, device: number): SmallState | null {
  if (state.bound[device] === -1 || state.on[device] !== -1) return null;
  return { ...state, bound: state.bound.with(device, -1) };
}

/** IOMMU_HWPT_ALLOC for a bound device: EOPNOTSUPP for a tracking one where its IOMMU cannot. */
export function allocHwpt(
  host: SmallHost,
  state: SmallState,
  hwpt: SmallHwpt,
  maker: { readonly device: number; readonly iommu: number },
): SmallState | null {
  const inContext = state.bound[maker.device] === contextOf(hwpt.home);
  if (!state.ioas[hwpt.home] || !inContext || maker.iommu !== hwpt.madeFor) return null;
  if (hwpt.dirty && !host.iommus[maker.iommu]?.dirty) return null;
  const hwpts = [...state.hwpts];
  hwpts[freePlace(state)] = hwpt;
  return { ...state, hwpts };
}

/** The place that the next HWPT gets. */
export function freePlace({ hwpts }: SmallState): number {
  const place = hwpts.indexOf(null);
  return place === -1 ? hwpts.length : place;
}

/** IOMMU_DESTROY of a HWPT: EBUSY while a device is on it. */
export function destroyHwpt(state: SmallState, place: number): SmallState | null {
  if (!state.hwpts[place] || state.on.includes(place)) return null;
  return { ...state, hwpts: state.hwpts.with(place, null) };
}

/** VFIO_DEVICE_DETACH_IOMMUFD_PT of an attached device. */
export function detach(state: SmallState, device: number): SmallState | null {
  return state.on[device] === -1 ? null : { ...state, on: state.on.with(device, -1) };
}

/**
 * VFIO_DEVICE_ATTACH_IOMMUFD_PT: attaches, or replaces and takes every attached mate along. EINVAL where
 * a mate is on another HWPT or where the HWPT does not suit the IOMMU.
 */
export function attach(
  host: SmallHost,
  state: SmallState,
  group: SmallGroup,
  device: number,
  place: number,
): SmallState | null {
  const hwpt = state.hwpts[place];
  const on = state.on[device] ?? -1;
  if (!hwpt || place === on || contextOf(hwpt.home) !== state.bound[device]) return null;
  const attached = group.devices.filter((mate) => state.on[mate] !== -1);
  if (on !== -1) {
    if (!mayUse(host, hwpt, group.iommu, 'running')) return null;
    const moved = state.on.map((each, mate) => (attached.includes(mate) ? place : each));
    return { ...state, on: moved };
  }
  const [mate] = attached;
  const takes =
    mate === undefined ? mayUse(host, hwpt, group.iommu, 'idle') : state.on[mate] === place;
  return takes ? { ...state, on: state.on.with(device, place) } : null;
}

/** The attach check of the IOMMU drivers of 6.12. */
export function accepts(host: Pick<SmallHost, 'iommus'>, hwpt: SmallHwpt, iommu: number): boolean {
  const made = host.iommus[hwpt.madeFor];
  const unit = host.iommus[iommu];
  if (!made || !unit || made.type !== unit.type || (hwpt.dirty && !unit.dirty)) return false;
  switch (unit.type) {
    case 'intel':
      return (unit.snoop || !made.snoop) && unit.width >= made.width;
    case 'amd':
      return true;
    case 'arm-smmu-v3':
      return hwpt.madeFor === iommu;
  }
}

/**
 * OUR RULES: snoop enforcement is not traded for fewer HWPTs, because KVM judges coherency by the device;
 * and a running group moves only where every kernel takes it (from 6.13 on page-walk coherency counts),
 * because even a refused replace interrupts its DMA.
 */
function mayUse(
  host: SmallHost,
  hwpt: SmallHwpt,
  iommu: number,
  group: 'running' | 'idle',
): boolean {
  if (!accepts(host, hwpt, iommu)) return false;
  const made = host.iommus[hwpt.madeFor];
  const unit = host.iommus[iommu];
  if (unit?.type !== 'intel') return true;
  return made?.snoop === unit.snoop && (group === 'idle' || made.coherent === unit.coherent);
}

/** HWPTs that could be allocated in an IOAS. A second idle one of a kind cannot make anything cheaper. */
export function allocations(
  host: SmallHost,
  state: SmallState,
  home: number,
): readonly Allocation[] {
  const found: Allocation[] = [];
  for (const [madeFor, unit] of host.iommus.entries()) {
    const device = makerOf(host, state, madeFor, contextOf(home));
    if (device === -1) continue;
    for (const dirty of unit.dirty ? [false, true] : [false]) {
      const hwpt = { home, dirty, madeFor };
      if (!hasIdle(state, hwpt)) found.push({ hwpt, maker: { device, iommu: madeFor } });
    }
  }
  return found;
}

interface Allocation {
  readonly hwpt: SmallHwpt;
  readonly maker: { readonly device: number; readonly iommu: number };
}

/** A device behind the IOMMU that is bound in the context; -1: none. */
function makerOf(host: SmallHost, state: SmallState, iommu: number, context: number): number {
  for (const group of host.groups) {
    if (group.iommu !== iommu) continue;
    for (const device of group.devices) if (state.bound[device] === context) return device;
  }
  return -1;
}

function hasIdle(state: SmallState, kind: SmallHwpt): boolean {
  return state.hwpts.some(
    (each, place) =>
      each?.home === kind.home &&
      each.dirty === kind.dirty &&
      each.madeFor === kind.madeFor &&
      !state.on.includes(place),
  );
}
