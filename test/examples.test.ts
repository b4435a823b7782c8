/** Every example is valid, plans, converges in the model of its host, and is then found in order. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { snapshotHost } from '../src/graph/snapshot.ts';
import { observe } from '../src/kernel/observe.ts';
import { configIn, hostIn, hostOf, World } from './support/world.ts';

const names = readdirSync('examples');

describe.each(names)('example %s', (name) => {
  const root = join('examples', name);

  it('validates, plans, applies, and then has nothing to do', async () => {
    expect(existsSync(join(root, 'README.md'))).toBe(true);
    const world = new World(hostIn(join(root, 'host.yaml')));
    const config = configIn(join(root, 'config'));
    const { plan, result, drift } = await world.apply(config);
    expect(plan.blocked).toEqual([]);
    expect(plan.steps.length).toBeGreaterThan(0);
    expect(result.cells.map((cell) => cell.result)).not.toContain('rolled-back');
    expect(drift).toEqual([]);
    world.machine.calls.length = 0;
    expect(world.plan(config).plan.steps).toEqual([]);
    expect(world.machine.writingCalls).toEqual([]);
  });

  it('gives the same plan from a snapshot of itself', async () => {
    const world = new World(hostIn(join(root, 'host.yaml')));
    const config = configIn(join(root, 'config'));
    const observe_ = () =>
      observe(world.host.syscalls, {
        ownPid: 0,
        held: world.host.journal.contexts(),
        known: world.host.known,
      });
    const snapshot = snapshotHost(observe_(), { holders: 'named' });
    const copy = new World(hostOf(JSON.stringify(snapshot)));
    expect(copy.plan(config).plan).toEqual(world.plan(config).plan);

    await world.apply(config);
    const after = snapshotHost(observe_(), { holders: 'named' });
    const restored = new World(hostOf(JSON.stringify(after)));
    expect(restored.plan(config).plan.steps).toEqual([]);
  });
});
