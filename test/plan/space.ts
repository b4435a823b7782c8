/**
 * All small hosts, all states that they can rest in, and all goals: what the planner is held against.
 * Sizes: two IOMMUs, up to three groups with up to four devices, two containers in one or two contexts.
 */
import { compareText } from '../../src/base/ids.ts';
import type { Mode, SmallGoal } from './goal.ts';
import {
  accepts,
  CONTAINERS,
  CONTEXTS,
  contextOf,
  homeOf,
  type SmallGroup,
  type SmallHost,
  type SmallHwpt,
  type SmallIommu,
  type SmallState,
} from './kernel.ts';

/** The context of each container: of its own, or one for both. */
export type Layout = readonly number[];

/** Containers in a context each, and both in one. */
export const LAYOUTS: readonly Layout[] = [
  [0, 1],
  [0, 0],
];

const INTEL = { type: 'intel', width: 48, dirty: true, snoop: true, coherent: true } as const;
const PLAIN = { ...INTEL, dirty: false };
const NARROW = { ...INTEL, width: 39 };
const NARROW_PLAIN = { ...PLAIN, width: 39 };
const AMD = { ...INTEL, type: 'amd' } as const;
const ARM = { ...INTEL, type: 'arm-smmu-v3' } as const;

/**
 * Pairs of IOMMUs: every mix of tracking and width, and one of each other thing that a driver's check
 * looks at. Two narrow ones share as two wide ones do.
 */
const PAIRS: readonly (readonly [SmallIommu, SmallIommu])[] = [
  [INTEL, INTEL],
  [INTEL, PLAIN],
  [INTEL, NARROW],
  [INTEL, NARROW_PLAIN],
  [PLAIN, PLAIN],
  [PLAIN, NARROW],
  [PLAIN, NARROW_PLAIN],
  [NARROW, NARROW_PLAIN],
  [INTEL, { ...INTEL, snoop: false }],
  [INTEL, { ...INTEL, coherent: false }],
  [PLAIN, { ...NARROW, coherent: false }],
  [AMD, { ...AMD, dirty: false }],
  [ARM, { ...ARM, dirty: false }],
];

/** Devices a group. A smaller shape is a larger one of which a group is never used. */
const SHAPES = [[1, 1, 2], [1, 1, 1], [2, 2], [1, 3], [4]];

/** Every host up to the stated size; those that differ only in names are one. */
export function allHosts(): readonly SmallHost[] {
  const hosts = PAIRS.flatMap((iommus) =>
    SHAPES.flatMap((shape) =>
      assignments(shape).map((behind) => ({ iommus, groups: groupsOf(shape, behind) })),
    ),
  );
  return [...new Map(hosts.map((host) => [nameOf(host), host])).values()];
}

/** The groups by size and IOMMU: an IOMMU without a group does not count, nor which of two equals it is. */
function nameOf({ iommus, groups }: SmallHost): string {
  const swaps = [
    [0, 1],
    [1, 0],
  ].map((order) => {
    const used = order.filter((unit) => groups.some(({ iommu }) => iommu === unit));
    const units = used.map((unit) => JSON.stringify(iommus[unit]));
    const sizes = groups.map(({ devices, iommu }) => `${devices.length}@${used.indexOf(iommu)}`);
    return `${units.join(' ')} ${sizes.sort(compareText).join(' ')}`;
  });
  return swaps.sort(compareText)[0] ?? '';
}

/** Which IOMMU each group is behind; groups of one size are in order. */
function assignments(shape: readonly number[]): readonly (readonly number[])[] {
  return product(shape.map(() => [0, 1])).filter((behind) =>
    shape.every((size, at) => size !== shape[at + 1] || (behind[at] ?? 0) <= (behind[at + 1] ?? 0)),
  );
}

function groupsOf(shape: readonly number[], behind: readonly number[]): readonly SmallGroup[] {
  let next = 0;
  return shape.map((size, group) => {
    const devices = Array.from({ length: size }, (_, member) => next + member);
    next += size;
    return { devices, iommu: behind[group] ?? 0 };
  });
}

/** All ways to pick one of each list. */
function product<T>(lists: readonly (readonly T[])[]): readonly (readonly T[])[] {
  return lists.reduce<readonly (readonly T[])[]>(
    (picked, list) => picked.flatMap((before) => list.map((each) => [...before, each])),
    [[]],
  );
}

/**
 * Every state that a host can rest in, whatever led to it: each group is closed, or on a HWPT that takes
 * it, or (`stopped`, where an attempt came to a stop half way) open in a context and on nothing. HWPTs may
 * be made for an IOMMU whose devices have left, and track although nobody asks for it. Of states that
 * only differ in the names of equal groups there is one, and with `twins` of those that only differ in
 * which container is which.
 */
export function allStates(
  host: SmallHost,
  layout: Layout,
  which: 'settled' | 'stopped',
  twins: boolean,
): readonly SmallState[] {
  let partial: readonly Resting[] = [{ hwpts: [], groups: [] }];
  const homes = layout.map((context, container) => homeOf(container, context));
  for (const { iommu } of host.groups) {
    partial = partial.flatMap((each) => restingPlaces(host, each, iommu, homes, which));
  }
  const swaps = twins ? [homes, [...homes].reverse()] : [homes];
  const different = new Map(
    partial.map((each) => [
      swaps
        .map((to) => shapeOf(host, each, (home) => to[homes.indexOf(home)] ?? home))
        .sort(compareText)[0],
      each,
    ]),
  );
  return [...different.values()].map((each) => stateOf(host, each));
}

/** The state in words that equal groups share. */
function shapeOf(
  host: SmallHost,
  { hwpts, groups }: Resting,
  named: (home: number) => number,
): string {
  const orders = permutations(host.groups).map((order) => {
    const places: number[] = [];
    const words = order.map((group) => {
      const place = groups[group] ?? 'closed';
      if (place === 'closed') return 'closed';
      if ('open' in place) return `open ${contextOf(named(homeIn(place.open)))}`;
      if (!places.includes(place.on)) places.push(place.on);
      const hwpt = hwpts[place.on];
      return `${places.indexOf(place.on)} ${named(hwpt?.home ?? -1)} ${hwpt?.dirty} ${hwpt?.madeFor}`;
    });
    return words.join(', ');
  });
  return orders.sort(compareText)[0] ?? '';
}

/** The IOAS that has the number of a context, in whichever layout. */
function homeIn(context: number): number {
  return homeOf(context, context);
}

/** The orders of groups that put only equal ones in another's place. */
function permutations(groups: readonly SmallGroup[]): readonly (readonly number[])[] {
  const alike = (a: number, b: number): boolean =>
    groups[a]?.iommu === groups[b]?.iommu &&
    groups[a]?.devices.length === groups[b]?.devices.length;
  return product(
    groups.map((_, at) => groups.flatMap((_g, other) => (alike(at, other) ? [other] : []))),
  ).filter((order) => new Set(order).size === order.length);
}

interface Resting {
  readonly hwpts: readonly SmallHwpt[];
  /** Where each group is: closed, open in a context, or on a HWPT by its place. */
  readonly groups: readonly ({ readonly open: number } | { readonly on: number } | 'closed')[];
}

function restingPlaces(
  host: SmallHost,
  { hwpts, groups }: Resting,
  iommu: number,
  homes: readonly number[],
  which: 'settled' | 'stopped',
): readonly Resting[] {
  const makers = new Set(host.groups.map((group) => group.iommu));
  const kinds = homes.flatMap((home) =>
    [...makers].flatMap((madeFor) =>
      (host.iommus[madeFor]?.dirty ? [false, true] : [false]).map((dirty) => ({
        home,
        dirty,
        madeFor,
      })),
    ),
  );
  const fits = (hwpt: SmallHwpt): boolean => accepts(host, hwpt, iommu);
  return [
    { hwpts, groups: [...groups, 'closed'] },
    ...(which === 'stopped' ? [...new Set(homes.map(contextOf))] : []).map((open) => ({
      hwpts,
      groups: [...groups, { open }],
    })),
    ...hwpts.flatMap((hwpt, on) => (fits(hwpt) ? [{ hwpts, groups: [...groups, { on }] }] : [])),
    ...kinds
      .filter(fits)
      .map((hwpt) => ({ hwpts: [...hwpts, hwpt], groups: [...groups, { on: hwpts.length }] })),
  ];
}

function contextAt(hwpts: readonly SmallHwpt[], place: Resting['groups'][number]): number {
  if (place === 'closed') return -1;
  return 'open' in place ? place.open : contextOf(hwpts[place.on]?.home ?? -1);
}

function stateOf(host: SmallHost, { hwpts, groups }: Resting): SmallState {
  const bound: number[] = [];
  const on: number[] = [];
  for (const [index, { devices }] of host.groups.entries()) {
    const place = groups[index] ?? 'closed';
    for (const device of devices) {
      on[device] = place !== 'closed' && 'on' in place ? place.on : -1;
      bound[device] = contextAt(hwpts, place);
    }
  }
  const homes = new Set(hwpts.map(({ home }) => home));
  return {
    bound,
    on,
    hwpts,
    ioas: Array.from({ length: CONTAINERS * CONTEXTS }, (_, home) => homes.has(home)),
    open: Array.from({ length: CONTEXTS }, (_, context) => bound.includes(context)),
  };
}

/** Every goal that can be reached: `required` only where every group can be tracked, `preferred` where some can. */
export function allGoals(host: SmallHost, layout: Layout): readonly SmallGoal[] {
  return product(host.groups.map(() => [null, 0, 1])).flatMap((serves) =>
    product([0, 1].map((container) => modesFor(host, (group) => serves[group] === container))).map(
      (modes) => ({ serves, modes, contexts: layout }),
    ),
  );
}

function modesFor(host: SmallHost, isIn: (group: number) => boolean): readonly Mode[] {
  const tracks = host.groups
    .filter((_, group) => isIn(group))
    .map(({ iommu }) => host.iommus[iommu]?.dirty ?? false);
  const some = tracks.includes(true);
  return some ? ['none', tracks.includes(false) ? 'preferred' : 'required'] : ['none'];
}
