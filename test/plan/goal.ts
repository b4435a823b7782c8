/** What is wanted of a small host, when a state is it, and what a way there costs. */
import { contextOf, homeOf, type SmallHost, type SmallHwpt, type SmallState } from './kernel.ts';

/** What a container asks of its HWPTs. */
export type Mode = 'none' | 'preferred' | 'required';

/** What is wanted: the container of each group (null: none), and the tracking and context of each container. */
export interface SmallGoal {
  readonly serves: readonly (number | null)[];
  readonly modes: readonly Mode[];
  readonly contexts: readonly number[];
}

/** What a plan costs, in the order of weight. */
export type Cost = readonly [
  outages: number,
  resets: number,
  replaces: number,
  hwpts: number,
  calls: number,
];

/** Compares costs, the heaviest part first. */
export function compareCost(a: Cost, b: Cost): number {
  for (let part = 0; part < a.length; part += 1) {
    const difference = (a[part] ?? 0) - (b[part] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The lower of two costs. */
export function cheaperOf(a: Cost, b: Cost): Cost {
  return compareCost(a, b) < 0 ? a : b;
}

/** The IOAS that a group shall be in; -1: none. */
export function targetOf(goal: SmallGoal, group: number): number {
  const container = goal.serves[group] ?? null;
  return container === null ? -1 : homeOf(container, goal.contexts[container] ?? 0);
}

/** Does the HWPT give what the goal asks for the group, right IOAS included. */
export function isRight(
  host: SmallHost,
  goal: SmallGoal,
  group: number,
  hwpt: SmallHwpt | null | undefined,
): boolean {
  if (!hwpt || hwpt.home !== targetOf(goal, group)) return false;
  const mode = goal.modes[goal.serves[group] ?? -1];
  if (mode === 'none' || hwpt.dirty) return true;
  return mode === 'preferred' && !host.iommus[host.groups[group]?.iommu ?? -1]?.dirty;
}

/** Every device is where it shall be; what is left over does not count. */
export function isServed(host: SmallHost, state: SmallState, goal: SmallGoal): boolean {
  return host.groups.every((group, index) =>
    group.devices.every((device) =>
      targetOf(goal, index) === -1
        ? state.bound[device] === -1
        : isRight(host, goal, index, state.hwpts[state.on[device] ?? -1]),
    ),
  );
}

/** The goal is reached, and nothing is left over. */
export function isGoal(host: SmallHost, state: SmallState, goal: SmallGoal): boolean {
  return isServed(host, state, goal) && leftOver(host, state, goal) === 0;
}

/** Objects that no device needs in the goal: each costs one more call. */
export function leftOver(host: SmallHost, state: SmallState, goal: SmallGoal): number {
  const homes = new Set(host.groups.map((_, group) => targetOf(goal, group)));
  homes.delete(-1);
  const contexts = new Set([...homes].map(contextOf));
  const idle = state.hwpts.filter((hwpt, place) => hwpt !== null && !state.on.includes(place));
  const ioases = state.ioas.filter((exists, home) => exists && !homes.has(home));
  const open = state.open.filter((each, context) => each && !contexts.has(context));
  return idle.length + ioases.length + open.length;
}
