/**
 * Which HWPT each IOMMU group of a container goes onto: the auto-domain decision, made before
 * anything is touched. A group that runs stays where it is while its HWPT has what is needed; the
 * others share as few HWPTs as their IOMMUs allow.
 */
import { compareText, type DeviceKey, type GroupId } from '../base/ids.ts';
import { newRef } from '../graph/refs.ts';
import type { Attachment, Graph, Hwpt, Iommu, ObjectRef, PciDevice } from '../graph/types.ts';
import type { HwptFlags } from '../steps/def.ts';
import { compareCapability, fitOf, hasProperties } from './compatible.ts';
import { needOf } from './need.ts';
import { iommuOf, type Wanted, type World } from './world.ts';

/** A group of a container with its page table. */
export interface Placement {
  readonly group: GroupId;
  /** Its members that serve the container, by address. */
  readonly members: readonly PciDevice[];
  /** What the group is on now, and the attached members that stay; null: it is idle. */
  readonly running: { readonly from: Attachment; readonly members: readonly DeviceKey[] } | null;
  readonly need: HwptFlags;
  readonly iommu: Iommu | null;
  /** HWPTs to try, best first. Exactly one for a group that runs. */
  readonly candidates: readonly [ObjectRef, ...ObjectRef[]];
  /** True where every candidate was made for another IOMMU, so that the kernel may still refuse all. */
  readonly mayNeedAnother: boolean;
}

/** A HWPT to allocate. */
export interface NewHwpt {
  readonly ref: ObjectRef;
  readonly flags: HwptFlags;
  readonly iommu: Iommu | null;
  readonly for: PciDevice;
}

/** The page tables of one container. */
export interface ContainerPlacement {
  readonly placements: readonly Placement[];
  readonly created: readonly NewHwpt[];
}

interface Choice {
  readonly ref: ObjectRef;
  readonly madeFor: Iommu | null;
  readonly flags: HwptFlags;
}

interface GroupNeed {
  readonly group: GroupId;
  readonly members: readonly PciDevice[];
  readonly running: Placement['running'];
  readonly need: HwptFlags;
  readonly iommu: Iommu | null;
}

/** Chooses the HWPTs of a container. `rebuild`: nothing that lives may be kept. */
export function placeContainer(
  world: World,
  wanted: Wanted,
  mode: 'keep' | 'rebuild',
): ContainerPlacement {
  const groups = groupNeeds(world, wanted, mode);
  const live = mode === 'rebuild' ? [] : [...(wanted.live?.hwpts.values() ?? [])];
  const placements: Placement[] = [];
  const movers: GroupNeed[] = [];
  const stayed = new Set(mode === 'rebuild' ? [] : waitedOn(world, wanted));
  for (const each of groups) {
    const on = live.find((hwpt) => hwpt.ref === each.running?.from.pt);
    if (on && hasProperties(on, each.need)) {
      placements.push({ ...each, candidates: [on.ref], mayNeedAnother: false });
      stayed.add(on.ref);
    } else movers.push(each);
  }
  const choices = live.map((hwpt) => choiceOf(world.graph, hwpt));
  const used = choices.filter(({ ref }) => stayed.has(ref));
  const idle = choices.filter(({ ref }) => !stayed.has(ref));
  const created: NewHwpt[] = [];
  movers.sort(leastCapableFirst);
  const provide = (groups: readonly GroupNeed[], first: GroupNeed): Choice => {
    const made = newHwpt(wanted.spec.name, created.length + 1, first);
    const choice = { ref: made.ref, madeFor: made.iommu, flags: made.flags };
    const reused = reusable({ idle, used, instead: choice, first, groups });
    if (reused === null) created.push(made);
    used.push(reused ?? choice);
    return reused ?? choice;
  };
  for (const [index, each] of movers.entries()) {
    const [best = provide(movers.slice(index), each), ...rest] = fittingChoices(used, each);
    placements.push(placementOn(best, rest, each));
  }
  placements.sort((a, b) => compareText(firstKey(a), firstKey(b)));
  return { placements, created };
}

/** HWPTs on which a device waits for its grace to end: they stay whatever is planned. */
export function waitedOn(world: World, { live, spec }: Wanted): readonly ObjectRef[] {
  const context = world.graph.contexts.get(spec.context);
  if (world.waiting.length === 0 || live === null || !context) return [];
  return [...context.devices.values()].flatMap(({ key, attachment }) => {
    const goes = world.leaving.has(key) || world.selection.assigned.has(key);
    return attachment?.container === live.name && !goes ? [attachment.pt] : [];
  });
}

function placementOn(best: Choice, rest: readonly Choice[], each: GroupNeed): Placement {
  const others = each.running === null ? rest.map(({ ref }) => ref) : [];
  const sure = [best, ...rest].some((choice) => choice.madeFor?.name === each.iommu?.name);
  const mayNeedAnother = each.running === null && !sure;
  return { ...each, candidates: [best.ref, ...others], mayNeedAnother };
}

/**
 * A live HWPT that no device would stay on and that can stand in for a new one made for the first of the
 * groups: it takes as many of them. One that takes fewer would only leave one more HWPT in the end.
 */
function reusable(from: {
  readonly idle: readonly Choice[];
  readonly used: readonly Choice[];
  readonly instead: Choice;
  readonly first: GroupNeed;
  readonly groups: readonly GroupNeed[];
}): Choice | null {
  const { idle, used, instead, first, groups } = from;
  if (idle.length === 0) return null;
  const takes = (choices: readonly Choice[], group: GroupNeed): boolean =>
    fittingChoices(choices, group).length > 0;
  const followers = groups.filter((group) => !takes(used, group) && takes([instead], group));
  return (
    fittingChoices(idle, first).find((choice) =>
      followers.every((group) => takes([choice], group)),
    ) ?? null
  );
}

function newHwpt(container: string, number: number, group: GroupNeed): NewHwpt {
  const [first] = group.members;
  if (first === undefined) throw new RangeError('a group without members is never placed');
  return {
    ref: newRef(`${container}.h${number}`),
    flags: group.need,
    iommu: group.iommu,
    for: first,
  };
}

function groupNeeds(world: World, wanted: Wanted, mode: 'keep' | 'rebuild'): GroupNeed[] {
  const groups = new Map<GroupId, PciDevice[]>();
  for (const device of wanted.devices) {
    if (device.kind !== 'pci' || device.group === null) continue;
    const members = groups.get(device.group);
    if (members) members.push(device);
    else groups.set(device.group, [device]);
  }
  return [...groups].map(([group, members]) => {
    const iommu = members[0] ? iommuOf(world.graph, members[0]) : null;
    const need = members[0]
      ? needOf(wanted.spec, members[0], iommu)
      : { dirtyTracking: false, nesting: false };
    const running = mode === 'rebuild' ? null : runningOf(world, wanted, members);
    return { group, members, running, need, iommu };
  });
}

/** What the members that stay in the wanted context are attached to. Group mates always share one HWPT. */
function runningOf(
  world: World,
  wanted: Wanted,
  members: readonly PciDevice[],
): Placement['running'] {
  let from: Attachment | null = null;
  const attached: DeviceKey[] = [];
  for (const { key } of members) {
    const holding = world.holdings.get(key);
    if (holding?.context !== wanted.spec.context || holding.device.attachment === null) continue;
    from ??= holding.device.attachment;
    attached.push(key);
  }
  return from === null ? null : { from, members: attached };
}

/**
 * HWPTs that the group may use, best first: sure fits before unsure ones, then the one with the
 * least that is not needed, then the oldest. A running group never tries an unsure one.
 */
function fittingChoices(choices: readonly Choice[], group: GroupNeed): readonly Choice[] {
  const rated = choices
    .map((choice) => ({
      choice,
      fit: fitOf(choice.madeFor, choice.flags.dirtyTracking, group.iommu),
    }))
    .filter(({ choice, fit }) => {
      if (!hasFlags(choice.flags, group.need)) return false;
      return fit === 'yes' || (fit === 'unknown' && group.running === null);
    });
  const surplus = (choice: Choice): number =>
    Number(choice.flags.dirtyTracking) + Number(choice.flags.nesting);
  rated.sort(
    (a, b) =>
      Number(a.fit === 'unknown') - Number(b.fit === 'unknown') ||
      surplus(a.choice) - surplus(b.choice),
  );
  return rated.map(({ choice }) => choice);
}

function hasFlags(flags: HwptFlags, need: HwptFlags): boolean {
  return (flags.dirtyTracking || !need.dirtyTracking) && (flags.nesting || !need.nesting);
}

function choiceOf(graph: Graph, hwpt: Hwpt): Choice {
  return {
    ref: hwpt.ref,
    madeFor: hwpt.iommu === null ? null : (graph.iommus.get(hwpt.iommu) ?? null),
    flags: { dirtyTracking: hwpt.dirtyTracking !== 'none', nesting: hwpt.nesting },
  };
}

/** Of equals one that runs comes first: an idle one may try what was made for it, and not the other way round. */
function leastCapableFirst(a: GroupNeed, b: GroupNeed): number {
  return (
    compareCapability(a.iommu, b.iommu) ||
    Number(a.running === null) - Number(b.running === null) ||
    compareText(firstKey(a), firstKey(b))
  );
}

function firstKey(group: { readonly members: readonly PciDevice[] }): string {
  return group.members[0]?.key ?? '';
}
