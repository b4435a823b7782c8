/**
 * Plans are minimal: on every small host (space.ts), from every state to every goal, no way over single
 * operations that the kernel allows is cheaper, and QEMU's way makes no fewer calls. Each run takes an
 * even share of the pairs by a seed; `AUTODOMAIN_EXHAUSTIVE=1` takes all, `2/3` the second third.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DEFAULT_OPTIONS } from '../../src/plan/planner-options.ts';
import type { Step } from '../../src/steps/def.ts';
import { configIn, hostIn, World } from '../support/world.ts';
import { comparableCalls, qemuOnGraph } from './beside.ts';
import { cheapest } from './cheapest.ts';
import { emptyState, type SmallHost } from './kernel.ts';
import { judge, pairsOf, samplePairs, Tally } from './pairs.ts';
import { replay, SmallPlanner } from './planned.ts';
import { optimum } from './search.ts';
import { allGoals, allHosts, allStates, LAYOUTS } from './space.ts';

const SEED = 20261127;
const PAIRS_PER_HOST = 24;
const EXHAUSTIVE = process.env['AUTODOMAIN_EXHAUSTIVE'];

/** A line beside the verdict of the tests. */
function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** The hosts of this run: all, or those of one part. */
function hostsOfRun(): readonly SmallHost[] {
  const [part = 1, parts = 1] = (EXHAUSTIVE ?? '1').split('/').map(Number);
  return allHosts().filter((_, at) => at % parts === part - 1);
}

describe('plans on small hosts', () => {
  it(`cost what the search finds, and no more calls than QEMU's (seed ${SEED})`, () => {
    const tally = new Tally();
    const wrong: string[] = [];
    const start = performance.now();
    for (const [at, host] of hostsOfRun().entries()) {
      const planner = new SmallPlanner(host);
      const pairs = EXHAUSTIVE ? pairsOf(host) : samplePairs(host, PAIRS_PER_HOST, SEED + at);
      for (const pair of pairs) {
        const verdict = judge(host, planner, pair);
        tally.add(verdict);
        if (verdict.wrong !== null && wrong.length < 5)
          wrong.push(`${verdict.wrong}: ${JSON.stringify({ host, ...pair })}`);
      }
    }
    say(`${Math.round(performance.now() - start)} ms: ${tally}`);
    expect(wrong).toEqual([]);
    expect(tally.more).toBe(0);
    expect(tally.reached / tally.pairs).toBeGreaterThan(0.9);
    expect(tally.ours).toBeLessThan(tally.qemu);
  }, 7_200_000);
});

const WIDE = { type: 'intel', width: 48, dirty: true, snoop: true, coherent: true } as const;
const PLAIN = { ...WIDE, dirty: false };

/** Two groups behind two units that cannot track; a group of two behind one that can. */
const CHECKED: readonly SmallHost[] = [
  {
    iommus: [PLAIN, { ...PLAIN, width: 39 }],
    groups: [
      { devices: [0], iommu: 0 },
      { devices: [1], iommu: 1 },
    ],
  },
  { iommus: [WIDE, PLAIN], groups: [{ devices: [0, 1], iommu: 0 }] },
];

describe('the search', () => {
  it('leaves nothing out that a search over everything finds', () => {
    let optima = 0;
    for (const host of CHECKED) {
      for (const layout of LAYOUTS) {
        const goals = allGoals(host, layout);
        const states = allStates(host, layout, 'stopped', true);
        for (const from of states.filter((_, at) => EXHAUSTIVE || at % 6 === 0)) {
          const { costs } = cheapest(host, from, goals);
          expect(goals.map((goal) => optimum(host, from, goal))).toEqual(costs);
          optima += goals.length;
        }
      }
    }
    say(`${optima} optima held against a search over everything`);
    expect(optima).toBeGreaterThan(60);
  }, 600_000);

  it('sees a step too many, and one that the kernel refuses', () => {
    const [host] = CHECKED;
    if (host === undefined) throw new Error('there is a host');
    const goal = { serves: [0, null], modes: ['none', 'none'], contexts: [0, 0] } as const;
    const from = emptyState(host);
    const plan = new SmallPlanner(host).plan(from, goal);
    expect(judge(host, { plan: () => plan }, { from, goal }).wrong).toBeNull();
    const { steps, summary } = plan;
    const [first] = steps;
    if (first?.kind !== 'open-context') throw new Error('the first step opens a context');
    const more: readonly Step[] = [
      { ...first, args: { context: 'k1' } },
      { ...first, kind: 'close-context', args: { context: 'k1' } },
      ...steps,
    ];
    const kernelCalls = summary.kernelCalls + 2;
    const dear = { ...plan, steps: more, summary: { ...summary, kernelCalls } };
    expect(judge(host, { plan: () => dear }, { from, goal }).wrong).toContain('is possible');
    const rest = steps.filter(({ kind }) => kind !== 'alloc-hwpt');
    expect(() => replay(host, from, rest)).toThrow('the kernel refuses attach-device');
  });
});

describe.each(readdirSync('examples'))('example %s', (name) => {
  it("makes the calls it says, no attach that is refused, and no more than QEMU's way", async () => {
    const world = new World(hostIn(join('examples', name, 'host.yaml')));
    const config = configIn(join('examples', name, 'config'));
    const { plan, graph } = world.plan(config, DEFAULT_OPTIONS);
    const { result } = await world.apply(config);
    expect(result.outcomes.filter(({ status }) => status === 'failed')).toEqual([]);
    expect(world.machine.writingCalls.length).toBe(plan.summary.kernelCalls);
    const qemu = qemuOnGraph(graph, plan);
    say(`${name}: ${comparableCalls(plan)} calls, QEMU ${qemu.calls}, refused ${qemu.refused}`);
    expect(comparableCalls(plan)).toBeLessThanOrEqual(qemu.calls);
  });
});
