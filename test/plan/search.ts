/**
 * The least cost between a state and a goal: a search over single operations that leaves out what cannot
 * be on a cheapest way. A test holds it against the search that tries everything (cheapest.ts).
 */
import { type Cost, isRight, isServed, leftOver, type SmallGoal, targetOf } from './goal.ts';
import {
  accepts,
  allocations,
  allocHwpt,
  allocIoas,
  attach,
  bind,
  closeDevice,
  contextOf,
  detach,
  freePlace,
  openContext,
  type SmallGroup,
  type SmallHost,
  type SmallState,
} from './kernel.ts';

/** The state in a few characters. */
function exactKeyOf({ bound, on, hwpts, ioas, open }: SmallState): string {
  let key = '';
  for (let device = 0; device < bound.length; device += 1) {
    key += String.fromCharCode(((bound[device] ?? -1) + 1) * 16 + (on[device] ?? -1) + 1);
  }
  for (const hwpt of hwpts) {
    const kind = hwpt === null ? 0 : hwpt.home * 4 + Number(hwpt.dirty) * 2 + hwpt.madeFor + 1;
    key += String.fromCharCode(kind);
  }
  let bits = 1;
  for (const each of ioas) bits = bits * 2 + Number(each);
  for (const each of open) bits = bits * 2 + Number(each);
  return key + String.fromCharCode(bits);
}

/** A state with the calls that led to it. */
interface Node {
  readonly state: SmallState;
  readonly calls: number;
}

/**
 * The least cost from a state to a goal. A device that stays in its context never pays an outage or a
 * reset on a cheapest way, one that goes pays exactly one of each, and a group on a wrong HWPT exactly
 * one replace; so only operations that are due are tried, in every order and onto every HWPT. Left out
 * is what only shuffles a way: an allocation is made when the first device goes onto it, a detach or a
 * bind that is possible comes at once, and the last close and the frees come at the end.
 */
export function optimum(host: SmallHost, from: SmallState, goal: SmallGoal): Cost {
  let best: readonly [number, number] | null = null;
  const seen = new Set([exactKeyOf(from)]);
  const stack: Node[] = [{ state: from, calls: 0 }];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    const { state, calls } = node;
    if (isServed(host, state, goal)) {
      const hwpts = new Set(state.on.filter((place) => place !== -1)).size;
      const total = calls + leftOver(host, state, goal);
      if (best === null || hwpts < best[0] || (hwpts === best[0] && total < best[1]))
        best = [hwpts, total];
      continue;
    }
    for (const next of dueSteps(host, node, goal)) {
      const key = exactKeyOf(next.state);
      if (seen.has(key)) continue;
      seen.add(key);
      stack.push(next);
    }
  }
  if (best === null) throw new Error('no way leads to the goal');
  return [...dueOf(host, from, goal), ...best];
}

/** Outages, resets and replaces that no way can avoid. */
function dueOf(
  host: SmallHost,
  state: SmallState,
  goal: SmallGoal,
): readonly [number, number, number] {
  let [outages, resets, replaces] = [0, 0, 0];
  for (const [index, group] of host.groups.entries()) {
    const target = targetOf(goal, index);
    const context = target === -1 ? -1 : contextOf(target);
    let wrong = false;
    for (const device of group.devices) {
      const bound = state.bound[device] ?? -1;
      const on = state.on[device] ?? -1;
      if (bound === context) wrong ||= on !== -1 && !isRight(host, goal, index, state.hwpts[on]);
      else {
        outages += Number(on !== -1);
        resets += Number(bound !== -1) + Number(context !== -1);
      }
    }
    replaces += Number(wrong);
  }
  return [outages, resets, replaces];
}

function dueSteps(host: SmallHost, node: Node, goal: SmallGoal): readonly Node[] {
  const steps: Node[] = [];
  const closes: Node[] = [];
  for (const index of host.groups.keys()) {
    for (const at of differentMembers(host, node.state, index)) {
      const due = dueOfDevice(host, node, goal, at);
      if (due.when === 'at once' && due.steps.length > 0) return due.steps;
      (due.when === 'last' ? closes : steps).push(...due.steps);
    }
  }
  return steps.length > 0 ? steps : closes;
}

interface Due {
  readonly when: 'at once' | 'in any order' | 'last';
  readonly steps: readonly Node[];
}

function dueOfDevice(host: SmallHost, node: Node, goal: SmallGoal, at: DeviceIn): Due {
  const { state, calls } = node;
  const { index, group, device } = at;
  const target = targetOf(goal, index);
  const context = target === -1 ? -1 : contextOf(target);
  const bound = state.bound[device] ?? -1;
  const on = state.on[device] ?? -1;
  if (bound === context) {
    const isDone = context === -1 || isRight(host, goal, index, state.hwpts[on]);
    return { when: 'in any order', steps: isDone ? [] : dueAttaches(host, node, goal, at) };
  }
  if (on !== -1) return { when: 'at once', steps: stepOf(detach(state, device), calls + 1) };
  if (bound === -1) return { when: 'at once', steps: dueBind(node, group, device, context) };
  const when = context === -1 ? 'last' : 'in any order';
  return { when, steps: stepOf(closeDevice(state, device), calls + 1) };
}

/** The devices of a group, without those that stand where a mate before them stands. */
function differentMembers(host: SmallHost, state: SmallState, index: number): DeviceIn[] {
  const group = host.groups[index];
  if (group === undefined) return [];
  const { devices } = group;
  const stands = (device: number): number =>
    ((state.bound[device] ?? -1) + 1) * 16 + (state.on[device] ?? -1) + 1;
  return devices
    .filter((device, at) => !devices.slice(0, at).some((mate) => stands(mate) === stands(device)))
    .map((device) => ({ index, group, device }));
}

function stepOf(state: SmallState | null, calls: number): readonly Node[] {
  return state === null ? [] : [{ state, calls }];
}

function dueBind(
  { state, calls }: Node,
  group: SmallGroup,
  device: number,
  context: number,
): readonly Node[] {
  const opened = openContext(state, context);
  const ready = opened ?? state;
  return stepOf(bind(ready, group, device, context), calls + 2 + Number(opened !== null));
}

interface DeviceIn {
  readonly index: number;
  readonly group: SmallGroup;
  readonly device: number;
}

/** Attach or replace onto every HWPT that is there and right, and onto every one that could be made. */
function dueAttaches(
  host: SmallHost,
  { state, calls }: Node,
  goal: SmallGoal,
  { index, group, device }: DeviceIn,
): readonly Node[] {
  const found: Node[] = [];
  for (const [place, hwpt] of state.hwpts.entries()) {
    if (!isRight(host, goal, index, hwpt)) continue;
    found.push(...stepOf(attach(host, state, group, device, place), calls + 1));
  }
  const home = targetOf(goal, index);
  const withIoas = allocIoas(state, home);
  const ready = withIoas ?? state;
  for (const { hwpt, maker } of allocations(host, ready, home)) {
    if (!isRight(host, goal, index, hwpt) || !accepts(host, hwpt, group.iommu)) continue;
    const made = allocHwpt(host, ready, hwpt, maker);
    if (made === null) continue;
    const attached = attach(host, made, group, device, freePlace(ready));
    found.push(...stepOf(attached, calls + 2 + Number(withIoas !== null)));
  }
  return found;
}
