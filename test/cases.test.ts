/**
 * Every folder under test/cases is a case: `before.yaml` (if there) is applied to the host, then
 * `config.yaml` is planned; the plan must read as `plan.txt`, and hold what every plan holds.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { render } from '../src/cli/colour.ts';
import { checkGraph } from '../src/graph/check.ts';
import { draftOf, graphOf } from '../src/graph/draft.ts';
import { formatGraph } from '../src/graph/format/text.ts';
import { formatPlan } from '../src/plan/format-text.ts';
import type { Plan } from '../src/plan/types.ts';
import { verify } from '../src/plan/verify.ts';
import type { Config } from '../src/spec/config.ts';
import { predictOn } from '../src/steps/index.ts';
import { needlessStep } from './support/necessary.ts';
import { configOf, hostIn, shapeOf, World } from './support/world.ts';

const ROOT = 'test/cases';
const names = readdirSync(ROOT).filter((name) => statSync(join(ROOT, name)).isDirectory());

async function prepared(name: string): Promise<{ world: World; config: Config }> {
  const own = join(ROOT, name, 'host.yaml');
  const world = new World(hostIn(existsSync(own) ? own : join(ROOT, 'host.yaml')));
  const before = join(ROOT, name, 'before.yaml');
  if (existsSync(before)) {
    const { result, drift } = await world.apply(read(before));
    expect(result.cells.map((cell) => cell.result)).not.toContain('rolled-back');
    expect(drift).toEqual([]);
  }
  return { world, config: read(join(ROOT, name, 'config.yaml')) };
}

function read(path: string): Config {
  return configOf(readFileSync(path, 'utf8'), path.replace(`${ROOT}/`, ''));
}

function text(plan: Plan): string {
  return render(formatPlan(plan), false);
}

describe.each(names)('case %s', (name) => {
  it('plans as written down, and comes to what it predicts', async () => {
    const { world, config } = await prepared(name);
    const { plan, graph } = world.plan(config);
    await expect(text(plan)).toMatchFileSnapshot(join('..', ROOT, name, 'plan.txt'));

    const draft = draftOf(graph);
    for (const step of plan.steps) {
      predictOn(draft, step);
      expect(checkGraph(graphOf(draft))).toEqual([]);
    }
    const predicted = graphOf(draft);
    expect(verify(plan.expects, predicted)).toEqual([]);

    const { result, after, drift } = await world.apply(config);
    expect(result.cells.filter((cell) => cell.result !== 'applied')).toEqual([]);
    expect(drift).toEqual([]);
    expect(shapeOf(after)).toEqual(shapeOf(predicted));
    await expect(`${formatGraph(after)}\n`).toMatchFileSnapshot(
      join('..', ROOT, name, 'graph.txt'),
    );

    world.machine.calls.length = 0;
    const again = world.plan(config).plan;
    expect(again.steps).toEqual([]);
    expect(world.machine.writingCalls).toEqual([]);
  });

  it('has no step that could be left out', async () => {
    const { world, config } = await prepared(name);
    const { plan, graph } = world.plan(config);
    expect(needlessStep(plan, graph)).toBeNull();
  });

  it('does not depend on the order of documents and lists', async () => {
    const { world, config } = await prepared(name);
    const turned: Config = {
      containers: [...config.containers].map((each) => ({
        ...each,
        claims: [...each.claims].reverse(),
      })),
    };
    expect(text(world.plan(turned).plan)).toBe(text(world.plan(config).plan));
  });
});
