/** Writer and reader of graphs are each other's inverse, and the reader says no to anything else. */
import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Json } from '../../src/base/json.ts';
import { graphDigest } from '../../src/engine/digest.ts';
import { observeHost } from '../../src/engine/host.ts';
import { graphToJson } from '../../src/graph/format/json.ts';
import { graphFromJson } from '../../src/graph/format/read.ts';
import type { Graph } from '../../src/graph/types.ts';
import { planToJson } from '../../src/plan/format-json.ts';
import { formatPlan, formatPlanWords } from '../../src/plan/format-text.ts';
import { planHost } from '../../src/plan/planner.ts';
import { DEFAULT_OPTIONS } from '../../src/plan/planner-options.ts';
import { planWordsOf } from '../../src/plan/read-json.ts';
import { configIn, hostIn, World } from '../support/world.ts';

function overTheWire(document: Json): Json {
  return JSON.parse(JSON.stringify(document)) as Json;
}

const cases = readdirSync('test/cases').filter((name) => !name.endsWith('.yaml'));

describe.each(cases)('%s', (name) => {
  it('comes back as the same graph, which gives the same plan', async () => {
    const world = new World(hostIn('test/cases/host.yaml'));
    const config = configIn(`test/cases/${name}/config.yaml`);
    const graphs = [observeHost(world.host).graph];
    await world.apply(config);
    graphs.push(observeHost(world.host).graph);
    for (const graph of graphs) {
      const read = graphFromJson(overTheWire(graphToJson(graph)));
      expect(read).toEqual(graph);
      expect(graphDigest(read as Graph)).toBe(graphDigest(graph));
      const plan = planHost(config, graph, DEFAULT_OPTIONS);
      expect(planHost(config, read as Graph, DEFAULT_OPTIONS)).toEqual(plan);
      const origin = { tool: '1', configDigest: 'd', revision: null, graphDigest: 'g' };
      const words = planWordsOf(overTheWire(planToJson(plan, origin)));
      expect(words && formatPlanWords(words)).toEqual(formatPlan(plan));
    }
  });
});

describe('what is no graph', () => {
  const graph = graphToJson(observeHost(new World(hostIn('test/cases/host.yaml')).host).graph);
  const wrong: readonly (readonly [what: string, document: Json])[] = [
    ['nothing', null],
    ['a text', 'Graph'],
    ['a list', []],
    ['another kind', { ...graph, kind: 'Plan' }],
    ['another major version', { ...graph, formatVersion: '2.0' }],
    ['no version', { kind: 'Graph' }],
    ['no devices', { ...graph, devices: null }],
    ['a device without a name', { ...graph, devices: [{}] }],
    [
      'a number that is none',
      { ...graph, groups: [{ id: 1, reserved: [{ start: 'x', last: '0' }] }] },
    ],
    ['no plan either', { kind: 'Plan', formatVersion: '2.0' }],
  ];
  it.each(wrong)('%s', (_what, document) => {
    expect(graphFromJson(document)).toBe(null);
    expect(planWordsOf(document)).toBe(null);
  });

  it('is not a newer minor version, which only adds', () => {
    expect(graphFromJson({ ...graph, formatVersion: '1.9', more: true })).not.toBe(null);
  });
});
