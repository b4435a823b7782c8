/** Every pair of a state and a goal of the small hosts, or an even share of them; and one pair judged. */
import { seeded } from '../support/rng.ts';
import { qemuOnSmall } from './beside.ts';
import { type Cost, compareCost, isGoal, type SmallGoal } from './goal.ts';
import type { SmallHost, SmallState } from './kernel.ts';
import { replay, type SmallPlanner } from './planned.ts';
import type { QemuResult } from './qemu.ts';
import { optimum } from './search.ts';
import { allGoals, allStates, LAYOUTS } from './space.ts';

/** A state and a goal of one host. */
export interface Pair {
  readonly from: SmallState;
  readonly goal: SmallGoal;
}

/**
 * The pairs of a host. Where containers keep their contexts the states include those that a stopped
 * attempt leaves; where they change, those at rest.
 */
export function* pairsOf(host: SmallHost): Generator<Pair> {
  for (const before of LAYOUTS) {
    for (const after of LAYOUTS) {
      const keeps = before === after;
      const goals = allGoals(host, after);
      for (const from of allStates(host, before, keeps ? 'stopped' : 'settled', keeps)) {
        for (const goal of goals) yield { from, goal };
      }
    }
  }
}

/** So many pairs of a host, picked evenly by a seed. */
export function samplePairs(host: SmallHost, count: number, seed: number): readonly Pair[] {
  const random = seeded(seed);
  const pick = <T>(list: readonly T[]): T => {
    const picked = list[Math.floor(random() * list.length)];
    if (picked === undefined) throw new RangeError('nothing to pick from');
    return picked;
  };
  const layouts = LAYOUTS.flatMap((before) => LAYOUTS.map((after) => ({ before, after })));
  return layouts.flatMap(({ before, after }) => {
    const keeps = before === after;
    const states = allStates(host, before, keeps ? 'stopped' : 'settled', keeps);
    const goals = allGoals(host, after);
    return Array.from({ length: count / layouts.length }, () => ({
      from: pick(states),
      goal: pick(goals),
    }));
  });
}

/** Our plan beside the optimum and QEMU. */
export interface Verdict {
  readonly ours: Cost;
  readonly qemu: QemuResult;
  /** What is wrong with the plan, in words; null: nothing. */
  readonly wrong: string | null;
}

/** Plans a pair, makes every step under the kernel's rules, and compares. */
export function judge(
  host: SmallHost,
  planner: Pick<SmallPlanner, 'plan'>,
  { from, goal }: Pair,
): Verdict {
  const { blocked, steps, summary } = planner.plan(from, goal);
  if (blocked.length > 0) throw new Error(`blocked: ${blocked[0]?.kind}`);
  const { state, cost } = replay(host, from, steps);
  const best = optimum(host, from, goal);
  const { outages, resets, replaces, kernelCalls } = summary;
  const said: Cost = [outages, resets, replaces, cost[3], kernelCalls];
  let wrong: string | null = null;
  if (!isGoal(host, state, goal)) wrong = 'the plan misses the goal';
  else if (compareCost(said, cost) !== 0) wrong = `the plan says ${said} and costs ${cost}`;
  else if (compareCost(cost, best) > 0) wrong = `the plan costs ${cost}, and ${best} is possible`;
  else if (compareCost(cost, best) < 0)
    wrong = `the plan costs ${cost}, and the search found ${best}`;
  return { ours: cost, qemu: qemuOnSmall(host, from, goal), wrong };
}

/** Sums over many pairs. */
export class Tally {
  pairs = 0;
  /** Kernel calls over the pairs in which QEMU reaches the goal too. */
  ours = 0;
  qemu = 0;
  reached = 0;
  /** Pairs in which we make more calls than QEMU, which reaches the goal too. */
  more = 0;
  /** EINVAL attaches of QEMU. */
  refused = 0;
  readonly #saved: number[] = [];

  add({ ours, qemu }: Verdict): void {
    this.pairs += 1;
    this.refused += qemu.refused;
    if (!qemu.met) return;
    this.reached += 1;
    this.ours += ours[4];
    this.qemu += qemu.calls;
    this.more += Number(ours[4] > qemu.calls);
    const saved = Math.max(0, qemu.calls - ours[4]);
    this.#saved[saved] = (this.#saved[saved] ?? 0) + 1;
  }

  /** The middle of the calls saved in a pair. */
  get medianSaved(): number {
    let left = this.reached / 2;
    return Math.max(
      0,
      this.#saved.findIndex((count) => {
        left -= count ?? 0;
        return left <= 0;
      }),
    );
  }

  toString(): string {
    return (
      `${this.pairs} pairs; QEMU reaches the goal in ${this.reached}, with ${this.qemu} calls against ${this.ours} ` +
      `(median ${this.medianSaved} fewer, ${this.more} pairs with more), and ${this.refused} EINVAL attaches against 0`
    );
  }
}
