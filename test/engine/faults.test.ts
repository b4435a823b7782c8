/**
 * For every case: the n-th system call of an apply fails, for every n until none is left. After each,
 * the graph holds its invariants, what is held is what the kernel has, and the next attempt converges.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { applyPlan } from '../../src/engine/apply.ts';
import { observeHost, runContextOf } from '../../src/engine/host.ts';
import { checkGraph } from '../../src/graph/check.ts';
import { holdingsOf } from '../../src/graph/query.ts';
import type { Graph } from '../../src/graph/types.ts';
import type { Config } from '../../src/spec/config.ts';
import { leaksOf } from '../support/leaks.ts';
import { configOf, hostIn, shapeOf, World } from '../support/world.ts';

const ROOT = 'test/cases';
const ERRNOS = ['ENOMEM', 'EIO', 'EINVAL', 'EBUSY'];
const names = readdirSync(ROOT).filter((name) => statSync(join(ROOT, name)).isDirectory());

function read(name: string, file: string): Config | null {
  const path = join(ROOT, name, file);
  return existsSync(path) ? configOf(readFileSync(path, 'utf8')) : null;
}

async function prepared(name: string): Promise<World> {
  const world = new World(hostIn(join(ROOT, 'host.yaml')));
  const before = read(name, 'before.yaml');
  if (before) await world.apply(before);
  return world;
}

/** Which container serves each device, whatever its HWPT. */
function servedBy(graph: Graph): unknown {
  return [...holdingsOf(graph)].map(([key, { context, device }]) => [
    key,
    context,
    device.attachment?.container,
  ]);
}

describe.each(names)('faults in %s', (name) => {
  const config = read(name, 'config.yaml');
  it.each(ERRNOS)('%s at every call', async (errno) => {
    if (config === null) throw new Error('a case has a config');
    const goal = await prepared(name);
    const { after: wanted } = await goal.apply(config);
    for (let n = 1; ; n += 1) {
      const world = await prepared(name);
      const planned = world.plan(config);
      world.machine.faults.failNth(n, errno);
      await applyPlan(planned.plan, runContextOf(world.host), { parallel: 4 });
      const fired = world.machine.faults.disarm();
      expect(leaksOf(world.machine, world.host.journal), `call ${n}`).toEqual([]);
      expect(checkGraph(observeHost(world.host).graph), `call ${n}`).toEqual([]);
      const again = await world.apply(config);
      const stuck = again.result.cells.filter((cell) => cell.result !== 'applied');
      expect(stuck, `call ${n}`).toEqual([]);
      // EINVAL of an attach says that the HWPT does not fit: the engine believes it and allocates another.
      const shape = errno === 'EINVAL' ? servedBy : shapeOf;
      expect(shape(again.after), `call ${n}`).toEqual(shape(wanted));
      if (!fired) break;
    }
  });
});
