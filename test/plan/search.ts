/**
 * An oracle for plans: a uniform-cost search over single operations, written from the kernel's rules
 * and not from the planner's. Small hosts only.
 */

/** A group of a small host: its devices by number, and the IOMMU behind it. */
export interface SmallGroup {
  readonly devices: readonly number[];
  readonly iommu: number;
}

/** A small host. Containers are numbers; `contexts` says which context each is in. */
export interface SmallHost {
  readonly iommus: readonly { readonly dirty: boolean; readonly width: number }[];
  readonly groups: readonly SmallGroup[];
  readonly contexts: readonly number[];
}

/** What is wanted: the container of each group (null: none), and whether each container requires tracking. */
export interface SmallConfig {
  readonly serves: readonly (number | null)[];
  readonly required: readonly boolean[];
}

/** A HWPT: its container, whether it tracks, and the IOMMU that it was made for. */
export interface SmallHwpt {
  readonly container: number;
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
  /** Does each container have its IOAS; is each context open. */
  readonly ioas: readonly boolean[];
  readonly open: readonly boolean[];
}

/** What a plan costs, in the order of weight. */
export type Cost = readonly [
  outages: number,
  resets: number,
  replaces: number,
  hwpts: number,
  calls: number,
];

/** Nothing is held. */
export function emptyState(host: SmallHost): SmallState {
  const devices = host.groups.flatMap((group) => group.devices);
  return {
    bound: devices.map(() => -1),
    on: devices.map(() => -1),
    hwpts: [],
    ioas: host.contexts.map(() => false),
    open: host.contexts.map(() => false),
  };
}

/** Compares costs, the heaviest part first. */
export function compareCost(a: Cost, b: Cost): number {
  for (let part = 0; part < a.length; part += 1) {
    const difference = (a[part] ?? 0) - (b[part] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

interface Node {
  readonly state: SmallState;
  /** Outages, resets, replaces, calls. */
  readonly spent: readonly [number, number, number, number];
}

/** A cost below `bound` at which the goal can be reached, or null. Plans of more calls than the bound's are not tried. */
export function cheaperThan(
  host: SmallHost,
  from: SmallState,
  config: SmallConfig,
  bound: Cost,
): Cost | null {
  const queue = new BoundedQueue(bound);
  const seen = new Set<string>();
  queue.push({ state: from, spent: [0, 0, 0, 0] });
  for (let node = queue.pop(); node !== undefined; node = queue.pop()) {
    const key = keyOf(node.state);
    if (seen.has(key)) continue;
    seen.add(key);
    if (isGoal(host, node.state, config)) {
      const [outages, resets, replaces, calls] = node.spent;
      const hwpts = node.state.hwpts.filter((hwpt) => hwpt !== null).length;
      const cost: Cost = [outages, resets, replaces, hwpts, calls];
      if (compareCost(cost, bound) < 0) return cost;
    }
    for (const next of nextStates(host, node)) queue.push(next);
  }
  return null;
}

/** Nodes by what they spent, cheapest first; none that spent more than the bound. */
class BoundedQueue {
  readonly #bound: Cost;
  readonly #byWeight = new Map<number, Node[]>();

  constructor(bound: Cost) {
    this.#bound = bound;
  }

  push(node: Node): void {
    const [outages, resets, replaces, calls] = node.spent;
    const [mostOutages, mostResets, mostReplaces, , mostCalls] = this.#bound;
    const spent: Cost = [outages, resets, replaces, 0, 0];
    const over = compareCost(spent, [mostOutages, mostResets, mostReplaces, 0, 0]) > 0;
    if (over || calls > mostCalls) return;
    const weight = outages * 1e9 + resets * 1e6 + replaces * 1e3 + calls;
    const list = this.#byWeight.get(weight);
    if (list) list.push(node);
    else this.#byWeight.set(weight, [node]);
  }

  pop(): Node | undefined {
    const weight = Math.min(...this.#byWeight.keys());
    const list = this.#byWeight.get(weight);
    const node = list?.pop();
    if (list?.length === 0) this.#byWeight.delete(weight);
    return node;
  }
}

function fits(host: SmallHost, hwpt: SmallHwpt, iommu: number): boolean {
  const unit = host.iommus[iommu];
  const made = host.iommus[hwpt.madeFor];
  return (
    unit !== undefined &&
    made !== undefined &&
    (!hwpt.dirty || unit.dirty) &&
    unit.width >= made.width
  );
}

function isGoal(host: SmallHost, state: SmallState, config: SmallConfig): boolean {
  const wanted = new Set(config.serves.filter((container) => container !== null));
  const contexts = new Set([...wanted].map((container) => host.contexts[container]));
  const containersRight = state.ioas.every((exists, container) => exists === wanted.has(container));
  const contextsRight = state.open.every((open, context) => open === contexts.has(context));
  if (!containersRight || !contextsRight) return false;
  const used = new Set(state.on);
  if (state.hwpts.some((hwpt, place) => hwpt !== null && !used.has(place))) return false;
  return host.groups.every((group, index) => {
    const container = config.serves[index] ?? null;
    return group.devices.every((device) => {
      if (container === null) return state.bound[device] === -1;
      const hwpt = state.hwpts[state.on[device] ?? -1] ?? null;
      return hwpt?.container === container && (!config.required[container] || hwpt.dirty);
    });
  });
}

/** Places of HWPTs do not matter, nor those of equals. */
function keyOf(state: SmallState): string {
  const tables = state.hwpts.flatMap((hwpt, place) => {
    if (hwpt === null) return [];
    const on = state.on.flatMap((at, device) => (at === place ? [device] : []));
    return [`${hwpt.container}${hwpt.dirty ? 'd' : 'p'}${hwpt.madeFor}:${on}`];
  });
  return `${state.bound}|${tables.sort()}|${state.ioas}|${state.open}`;
}

function* nextStates(host: SmallHost, node: Node): Generator<Node> {
  const { state, spent } = node;
  const step = (
    change: Partial<SmallState>,
    cost: readonly [number, number, number, number],
  ): Node => ({
    state: { ...state, ...change },
    spent: [spent[0] + cost[0], spent[1] + cost[1], spent[2] + cost[2], spent[3] + cost[3]],
  });
  yield* containerSteps(host, state, step);
  for (const [index, group] of host.groups.entries()) {
    for (const device of group.devices)
      yield* deviceSteps(host, state, { index, group, device }, step);
  }
}

type StepOf = (
  change: Partial<SmallState>,
  cost: readonly [number, number, number, number],
) => Node;

const CALL = [0, 0, 0, 1] as const;

function* containerSteps(host: SmallHost, state: SmallState, step: StepOf): Generator<Node> {
  for (const [context, open] of state.open.entries()) {
    if (!host.contexts.includes(context) || (open && isContextUsed(host, state, context))) continue;
    yield step({ open: state.open.with(context, !open) }, CALL);
  }
  for (const [container, exists] of state.ioas.entries()) {
    const inUse = state.hwpts.some((hwpt) => hwpt?.container === container);
    if (!state.open[host.contexts[container] ?? -1] || (exists && inUse)) continue;
    yield step({ ioas: state.ioas.with(container, !exists) }, CALL);
  }
  for (const [place, hwpt] of state.hwpts.entries()) {
    if (hwpt === null || state.on.includes(place)) continue;
    yield step({ hwpts: state.hwpts.with(place, null) }, CALL);
  }
}

function isContextUsed(host: SmallHost, state: SmallState, context: number): boolean {
  const holdsIoas = state.ioas.some(
    (has, container) => has && host.contexts[container] === context,
  );
  return holdsIoas || state.bound.includes(context);
}

interface DeviceIn {
  readonly index: number;
  readonly group: SmallGroup;
  readonly device: number;
}

function* deviceSteps(
  host: SmallHost,
  state: SmallState,
  at: DeviceIn,
  step: StepOf,
): Generator<Node> {
  const { group, device } = at;
  const context = state.bound[device] ?? -1;
  const on = state.on[device] ?? -1;
  if (context === -1) {
    for (const [other, open] of state.open.entries()) {
      const elsewhere = group.devices.some(
        (mate) => ![-1, other].includes(state.bound[mate] ?? -1),
      );
      if (open && !elsewhere) yield step({ bound: state.bound.with(device, other) }, [0, 1, 0, 2]);
    }
    return;
  }
  if (on === -1) yield step({ bound: state.bound.with(device, -1) }, [0, 1, 0, 1]);
  else yield step({ on: state.on.with(device, -1) }, [1, 0, 0, 1]);
  yield* allocations(host, state, at, step);
  yield* attachments(host, state, at, step);
}

function* allocations(
  host: SmallHost,
  state: SmallState,
  at: DeviceIn,
  step: StepOf,
): Generator<Node> {
  for (const [container, exists] of state.ioas.entries()) {
    if (!exists || host.contexts[container] !== state.bound[at.device]) continue;
    for (const dirty of [false, true]) {
      if (dirty && !host.iommus[at.group.iommu]?.dirty) continue;
      // A second idle HWPT of the same kind cannot make anything cheaper.
      const idle = state.hwpts.some(
        (each, place) =>
          each?.container === container &&
          each.dirty === dirty &&
          each.madeFor === at.group.iommu &&
          !state.on.includes(place),
      );
      if (idle) continue;
      const hwpt = { container, dirty, madeFor: at.group.iommu };
      yield step({ hwpts: [...state.hwpts, hwpt] }, CALL);
    }
  }
}

function* attachments(
  host: SmallHost,
  state: SmallState,
  at: DeviceIn,
  step: StepOf,
): Generator<Node> {
  const { group, device } = at;
  const context = state.bound[device];
  const on = state.on[device] ?? -1;
  const attached = group.devices.filter((mate) => (state.on[mate] ?? -1) !== -1);
  for (const [place, hwpt] of state.hwpts.entries()) {
    if (hwpt === null || place === on || host.contexts[hwpt.container] !== context) continue;
    if (!fits(host, hwpt, group.iommu)) continue;
    if (on !== -1) {
      const moved = state.on.map((each, mate) => (attached.includes(mate) ? place : each));
      yield step({ on: moved }, [0, 0, 1, 1]);
    } else if (attached.length === 0 || state.on[attached[0] ?? -1] === place) {
      yield step({ on: state.on.with(device, place) }, CALL);
    }
  }
}
