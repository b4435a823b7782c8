/** Dijkstra over every operation that the kernel allows. For the smallest hosts only: it grows with every HWPT that could be there. */
import { compareText } from '../../src/base/ids.ts';
import { type Cost, cheaperOf, isGoal, type SmallGoal, targetOf } from './goal.ts';
import {
  allocations,
  allocHwpt,
  allocIoas,
  attach,
  bind,
  closeContext,
  closeDevice,
  contextOf,
  destroyHwpt,
  destroyIoas,
  detach,
  openContext,
  type SmallHost,
  type SmallState,
} from './kernel.ts';

/** Places of HWPTs do not matter, nor those of equals; nor do group mates, which are served alike. */
function keyOf(host: SmallHost, state: SmallState): string {
  const tables = state.hwpts.flatMap((hwpt, place) => {
    if (hwpt === null) return [];
    const users = host.groups.map(
      (group) => group.devices.filter((device) => state.on[device] === place).length,
    );
    return [`${hwpt.home}${hwpt.dirty ? 'd' : 'p'}${hwpt.madeFor}:${users.join('')}`];
  });
  const bound = host.groups.map((group) =>
    group.devices
      .map((device) => `${(state.bound[device] ?? -1) + 1}`)
      .sort(compareText)
      .join(''),
  );
  const bits = [...state.ioas, ...state.open].map(Number).join('');
  return `${bound.join(',')}|${tables.sort(compareText).join(',')}|${bits}`;
}

type Spent = readonly [outages: number, resets: number, replaces: number, calls: number];

const CALL: Spent = [0, 0, 0, 1];

/**
 * The least cost from a state to each of the goals, by Dijkstra over every operation that the kernel
 * allows. Left out is a second idle HWPT of one kind, and an IOAS that neither the state nor a goal has.
 */
export function cheapest(
  host: SmallHost,
  from: SmallState,
  goals: readonly SmallGoal[],
): { readonly costs: readonly (Cost | null)[]; readonly states: number } {
  const queue = new CostQueue();
  const seen = new Set<string>();
  const costs: (Cost | null)[] = goals.map(() => null);
  const homes = from.ioas.flatMap((exists, home) => {
    const wanted = goals.some((goal) => host.groups.some((_, at) => targetOf(goal, at) === home));
    return exists || wanted ? [home] : [];
  });
  queue.push(from, [0, 0, 0, 0]);
  for (let entry = queue.pop(); entry !== undefined; entry = queue.pop()) {
    const { state, spent } = entry;
    const key = keyOf(host, state);
    if (seen.has(key)) continue;
    seen.add(key);
    const hwpts = state.hwpts.filter((hwpt) => hwpt !== null).length;
    const cost: Cost = [spent[0], spent[1], spent[2], hwpts, spent[3]];
    for (const [index, goal] of goals.entries()) {
      if (isGoal(host, state, goal)) costs[index] = cheaperOf(cost, costs[index] ?? cost);
    }
    for (const [next, added] of everyStep(host, state, homes)) {
      if (next !== null)
        queue.push(
          next,
          spent.map((part, at) => part + (added[at] ?? 0)),
        );
    }
  }
  return { costs, states: seen.size };
}

interface Entry {
  readonly state: SmallState;
  readonly spent: Spent;
  readonly weight: number;
}

/** States by what they cost, cheapest first: a binary heap. */
class CostQueue {
  readonly #heap: Entry[] = [];

  push(state: SmallState, spent: readonly number[]): void {
    const [outages = 0, resets = 0, replaces = 0, calls = 0] = spent;
    const weight = ((outages * 100 + resets) * 100 + replaces) * 1000 + calls;
    const entry = { state, spent: [outages, resets, replaces, calls] as const, weight };
    let at = this.#heap.push(entry) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#weightAt(parent) <= weight) break;
      this.#swap(at, parent);
      at = parent;
    }
  }

  pop(): Entry | undefined {
    const first = this.#heap[0];
    const last = this.#heap.pop();
    if (first === undefined || last === undefined || first === last) return first;
    this.#heap[0] = last;
    for (let at = 0; ; ) {
      const left = 2 * at + 1;
      const child = this.#weightAt(left + 1) < this.#weightAt(left) ? left + 1 : left;
      if (this.#weightAt(child) >= last.weight) return first;
      this.#swap(at, child);
      at = child;
    }
  }

  #weightAt(at: number): number {
    return this.#heap[at]?.weight ?? Number.POSITIVE_INFINITY;
  }

  #swap(a: number, b: number): void {
    const [one, other] = [this.#heap[a], this.#heap[b]];
    if (one === undefined || other === undefined) return;
    this.#heap[a] = other;
    this.#heap[b] = one;
  }
}

function* everyStep(
  host: SmallHost,
  state: SmallState,
  homes: readonly number[],
): Generator<[SmallState | null, Spent]> {
  const contexts = new Set(homes.map(contextOf));
  for (const context of contexts) {
    yield [openContext(state, context), CALL];
    yield [closeContext(state, context), CALL];
  }
  for (const home of homes) {
    yield [allocIoas(state, home), CALL];
    yield [destroyIoas(state, home), CALL];
    for (const { hwpt, maker } of allocations(host, state, home)) {
      yield [allocHwpt(host, state, hwpt, maker), CALL];
    }
  }
  for (let place = 0; place < state.hwpts.length; place += 1) {
    yield [destroyHwpt(state, place), CALL];
  }
  for (const group of host.groups) {
    for (const device of group.devices) {
      for (const context of contexts) {
        yield [bind(state, group, device, context), [0, 1, 0, 2]];
      }
      yield [closeDevice(state, device), [0, 1, 0, 1]];
      yield [detach(state, device), [1, 0, 0, 1]];
      const replaces = state.on[device] !== -1;
      for (let place = 0; place < state.hwpts.length; place += 1) {
        yield [attach(host, state, group, device, place), [0, 0, Number(replaces), 1]];
      }
    }
  }
}
