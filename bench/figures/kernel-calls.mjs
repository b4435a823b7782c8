// Kernel calls of plans beside QEMU's auto-domain algorithm, over an even share of the edits of all small
// hosts: both from the same state to the same goal, counted where QEMU reaches the goal as well.
import { tsImport } from 'tsx/esm/api';

const SEED = 20261127;
const PAIRS_PER_HOST = 24;

let counted = null;

async function measure() {
  counted ??= await count();
  return counted;
}

async function count() {
  const load = (name) => tsImport(`../../test/plan/${name}.ts`, import.meta.url);
  const { allHosts } = await load('space');
  const { SmallPlanner } = await load('planned');
  const { judge, samplePairs, Tally } = await load('pairs');
  const tally = new Tally();
  for (const [at, host] of allHosts().entries()) {
    const planner = new SmallPlanner(host);
    for (const pair of samplePairs(host, PAIRS_PER_HOST, SEED + at)) {
      tally.add(judge(host, planner, pair));
    }
  }
  return { value: tally.ours / tally.reached, baseline: tally.qemu / tally.reached };
}

export const figures = [
  {
    id: 'kernel-calls',
    unit: 'calls',
    n: 1,
    what: 'system calls of an edit, mean over 24 edits of each small host; the same seed each time',
    against: "QEMU's auto domains",
    measure,
  },
];
