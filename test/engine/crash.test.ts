/**
 * Crash equivalence. For every case and example: the daemon dies at every call and at every write of its journal;
 * for some also while it rolls back and while it recovers, and at every byte of what it writes. Each time the next
 * one recovers without a doubt, nothing that was attached before was stopped but by the plan, nothing leaks, and
 * the next attempt ends where one without a crash does.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Config } from '../../src/spec/config.ts';
import type { HostDocument } from '../../src/spec/types.generated.ts';
import { unplannedEffects } from '../sim/invariants.ts';
import { lostSince } from '../sim/looks.ts';
import { leaksOf } from '../support/leaks.ts';
import { configIn, hostIn, shapeOf } from '../support/world.ts';
import { CrashWorld, type Death } from './crash-world.ts';

interface Story {
  readonly name: string;
  readonly host: HostDocument;
  readonly before: Config | null;
  readonly config: Config;
}

const CASES = 'test/cases';
const EXAMPLES = 'examples';

function stories(): readonly Story[] {
  const host = hostIn(join(CASES, 'host.yaml'));
  const cases = readdirSync(CASES).filter((name) => statSync(join(CASES, name)).isDirectory());
  const examples = readdirSync(EXAMPLES);
  return [
    ...cases.map((name) => {
      const before = join(CASES, name, 'before.yaml');
      const config = configIn(join(CASES, name, 'config.yaml'));
      return { name, host, before: existsSync(before) ? configIn(before) : null, config };
    }),
    ...examples.map((name) => ({
      name: `example ${name}`,
      host: hostIn(join(EXAMPLES, name, 'host.yaml')),
      before: null,
      config: configIn(join(EXAMPLES, name, 'config')),
    })),
  ];
}

async function prepared({ host, before }: Story): Promise<CrashWorld> {
  const world = new CrashWorld(host);
  if (before) await world.apply(before);
  world.monitor.take();
  return world;
}

/** The graph that an attempt without a crash comes to. */
async function wantedShape(story: Story): Promise<unknown> {
  const world = await prepared(story);
  const { after } = await world.apply(story.config);
  return shapeOf(after);
}

/** Recovers, dying as often as `deaths` has it, and checks all that must hold. */
async function survives(
  story: Story,
  world: CrashWorld,
  planned: ReturnType<CrashWorld['plan']>,
  before: ReturnType<CrashWorld['attachments']>,
  deaths: readonly Death[] = [],
): Promise<{ readonly shape: unknown; readonly diedAgain: boolean }> {
  let diedAgain = false;
  for (const death of deaths) diedAgain = (await world.restart(death)).died || diedAgain;
  const recovery = deaths.length > 0 && !diedAgain ? null : await world.restart();
  expect(recovery?.died ?? false).toBe(false);
  expect(world.contradictions()).toEqual([]);
  expect(unplannedEffects(planned.plan, world.monitor.take())).toEqual([]);
  const touched = new Set(
    planned.plan.steps.flatMap(({ args }) => [
      ...('device' in args ? [args.device] : []),
      ...('alsoMoves' in args ? args.alsoMoves : []),
    ]),
  );
  expect(lostSince(world.machine, before, touched)).toEqual([]);
  expect(leaksOf(world.machine, world.process.journal)).toEqual([]);
  const { result, after } = await world.apply(story.config);
  expect(result.cells.filter((cell) => cell.result !== 'applied')).toEqual([]);
  return { shape: shapeOf(after), diedAgain };
}

/** Kills the n-th time for every n until the apply gets through; says how often that was, and whether the fault came. */
async function sweep(
  story: Story,
  deathOf: (n: number) => Death,
  fault: ((world: CrashWorld) => void) | null = null,
): Promise<{ readonly times: number; readonly failed: boolean }> {
  const wanted = await wantedShape(story);
  for (let n = 1; ; n += 1) {
    const world = await prepared(story);
    const before = world.attachments();
    const planned = world.plan(story.config);
    fault?.(world);
    const death = deathOf(n);
    const { died } = await world.until(death, () => world.run(planned, story.config));
    const failed = world.machine.faults.disarm();
    if (!died) return { times: n - 1, failed };
    const { shape } = await survives(story, world, planned, before);
    expect(shape, JSON.stringify(death)).toEqual(wanted);
  }
}

const ALL = stories();
/** With the other cases it takes many minutes: `AUTODOMAIN_EXHAUSTIVE=1`. */
const CLOSE = process.env['AUTODOMAIN_EXHAUSTIVE']
  ? ALL
  : ALL.filter(({ name }) => name === 'edit-none-to-required' || name === 'move-between-contexts');
const CLOSE_TIMEOUT_MS = 1_200_000;

describe.each(ALL)('a crash in $name', (story) => {
  it('at every call and at every write of the journal', async () => {
    const steps = (await prepared(story)).plan(story.config).plan.steps.length;
    const { times: calls } = await sweep(story, (n) => ({ at: 'call', n }));
    expect(calls).toBeGreaterThanOrEqual(Math.min(1, steps));
    // Nothing, half, all but the end of the line, and all of it reaches the disk, in turn.
    const shares = [0, 0.5, 0.99, 1];
    const deathOf = (n: number): Death => ({ at: 'write', n, share: shares[n % 4] ?? 0 });
    const { times: writes } = await sweep(story, deathOf);
    expect(writes).toBeGreaterThanOrEqual(steps * 2);
  });
});

describe.each(CLOSE)('a second crash in $name', { timeout: CLOSE_TIMEOUT_MS }, (story) => {
  it('at every call that changes something and every write of the recovery', async () => {
    const wanted = await wantedShape(story);
    const crash = async (n: number, again: Death): Promise<'done' | 'recovered' | 'died twice'> => {
      const world = await prepared(story);
      const before = world.attachments();
      const planned = world.plan(story.config);
      const work = (): Promise<unknown> => world.run(planned, story.config);
      if (!(await world.until({ at: 'writing-call', n }, work)).died) return 'done';
      const { shape, diedAgain } = await survives(story, world, planned, before, [again]);
      expect(shape, `call ${n}, then ${JSON.stringify(again)}`).toEqual(wanted);
      return diedAgain ? 'died twice' : 'recovered';
    };
    for (let n = 1; (await crash(n, { at: 'writing-call', n: 1 })) !== 'done'; n += 1) {
      for (let m = 2; (await crash(n, { at: 'writing-call', n: m })) === 'died twice'; m += 1);
      for (let m = 1; (await crash(n, { at: 'write', n: m, share: 0.5 })) === 'died twice'; m += 1);
    }
  });

  it('at every call that changes something in a rollback', async () => {
    for (let failing = 1; ; failing += 1) {
      const fault = (world: CrashWorld): void => world.machine.faults.failNth(failing, 'ENOMEM');
      const { failed } = await sweep(story, (n) => ({ at: 'writing-call', n }), fault);
      if (!failed) break;
    }
  });
});
