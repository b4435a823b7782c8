/** `npm run sim -- --seed N --steps M [--runs K] [--plant NAME] [--crashes] [--tracked] [--hears uevents|requests|nothing] [--log]`. Exit code 1 where an invariant did not hold. */
import { parseArgs } from 'node:util';
import { HEARS } from './ears.ts';
import { INVARIANTS, type Invariant } from './invariants.ts';
import { simulate } from './simulation.ts';

const FAILED_RUNS_MAX = 3;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    steps: { type: 'string', default: '200' },
    runs: { type: 'string', default: '1' },
    plant: { type: 'string' },
    crashes: { type: 'boolean', default: false },
    tracked: { type: 'boolean', default: false },
    hears: { type: 'string' },
    log: { type: 'boolean', default: false },
  },
});

const say = (line: string): boolean => process.stdout.write(`${line}\n`);
const plant = INVARIANTS.find((name) => name === values.plant);
if (values.plant !== undefined && plant === undefined) {
  process.stderr.write(`there is no plant ${values.plant}: ${INVARIANTS.join(', ')}\n`);
  process.exit(64);
}
const hears = HEARS.find((name) => name === values.hears);
if (values.hears !== undefined && hears === undefined) {
  process.stderr.write(`nobody hears ${values.hears}: ${HEARS.join(', ')}\n`);
  process.exit(64);
}
process.exitCode = (await runAll(plant)) === 0 ? 0 : 1;

/** Runs every seed; returns how many were not clean. */
async function runAll(invariant: Invariant | undefined): Promise<number> {
  const first = Number(values.seed);
  const total = { steps: 0, attempts: 0, restarts: 0, failed: 0 };
  for (let run = 0; run < Number(values.runs) && total.failed < FAILED_RUNS_MAX; run += 1) {
    const verdict = await simulate({
      seed: first + run,
      steps: Number(values.steps),
      plant: invariant,
      crashes: values.crashes,
      tracked: values.tracked,
      ...(hears === undefined ? {} : { hears }),
      ...(values.log ? { log: say } : {}),
    });
    const clean = verdict.violations.length === 0;
    total.steps += verdict.steps;
    total.attempts += verdict.attempts;
    total.restarts += verdict.restarts;
    total.failed += clean ? 0 : 1;
    for (const { invariant: name, step, text } of verdict.violations) {
      say(`step ${step}: ${name}: ${text}`);
    }
    const { seed, steps, attempts, restarts, calls } = verdict;
    const figures = `${steps} steps, ${attempts} attempts, ${restarts} restarts, ${calls} calls`;
    if (values.runs === '1' || !clean) say(`seed ${seed}, ${figures}: ${wordOf(clean)}`);
  }
  if (values.runs !== '1') {
    const figures = `${total.steps} steps, ${total.attempts} attempts, ${total.restarts} restarts`;
    say(`${values.runs} seeds from ${first}, ${figures}: ${wordOf(total.failed === 0)}`);
  }
  return total.failed;
}

function wordOf(clean: boolean): string {
  return clean ? 'clean' : 'NOT CLEAN';
}
