/**
 * Plans are minimal: for pairs of states of a small host (2 IOMMUs, 3 groups, 4 devices, 2 containers,
 * tracking or not, in one context or in two) a search over single operations finds nothing cheaper.
 * A sample by default; all pairs with AUTODOMAIN_EXHAUSTIVE=1.
 */
import { describe, expect, it } from 'vitest';
import type { Graph } from '../../src/graph/types.ts';
import type { Plan } from '../../src/plan/types.ts';
import type { Config } from '../../src/spec/config.ts';
import { predictAll } from '../../src/steps/index.ts';
import { seeded } from '../support/rng.ts';
import { configOf, hostOf, World } from '../support/world.ts';
import {
  type Cost,
  cheaperThan,
  emptyState,
  type SmallConfig,
  type SmallHost,
  type SmallHwpt,
  type SmallState,
} from './search.ts';

const SEED = 20261124;
const SAMPLE = process.env['AUTODOMAIN_EXHAUSTIVE'] ? Number.POSITIVE_INFINITY : 120;
/** Plans of more calls are left to the cases: the search grows with every one. */
const CALLS_MAX = process.env['AUTODOMAIN_EXHAUSTIVE'] ? 10 : 7;

const GROUPS = [
  { devices: [0], iommu: 0 },
  { devices: [1], iommu: 1 },
  { devices: [2, 3], iommu: 0 },
];
const IOMMUS = [
  { dirty: true, width: 48 },
  { dirty: false, width: 39 },
];
const ADDRESSES = ['0000:01:00.0', '0000:02:00.0', '0000:03:01.0', '0000:03:02.0'];

const HOST = hostOf(
  JSON.stringify({
    apiVersion: 'autodomain.dev/v1alpha1',
    kind: 'Host',
    metadata: { name: 'small' },
    spec: {
      kernel: { release: 'x', features: ['iommufd', 'vfio-cdev', 'vfio-pci'] },
      iommus: IOMMUS.map(({ dirty, width }, index) => ({
        name: `dmar${index}`,
        type: 'intel',
        addressWidth: width,
        coherentWalk: true,
        snoopControl: true,
        dirtyTracking: dirty,
        msiIsolated: true,
      })),
      groups: GROUPS.map(({ iommu }, id) => ({ id, iommu: `dmar${iommu}` })),
      devices: GROUPS.flatMap(({ devices }, group) =>
        devices.map((device) => ({
          pci: ADDRESSES[device],
          group,
          vendor: '1234',
          device: '0001',
          class: '000000',
          driver: 'vfio-pci',
          cdev: `vfio${device}`,
        })),
      ),
    },
  }),
);

/** Every config that can be converged: a group whose IOMMU cannot track is in no container that requires it. */
function allConfigs(): readonly SmallConfig[] {
  const places = [null, 0, 1];
  return places.flatMap((a) =>
    places.flatMap((b) =>
      places.flatMap((c) =>
        [0, 1, 2, 3].flatMap((bits) => {
          const serves = [a, b, c];
          const required = [(bits & 1) !== 0, (bits & 2) !== 0];
          const pointless = required.some((each, at) => each && !serves.includes(at));
          return pointless || (b !== null && required[b]) ? [] : [{ serves, required }];
        }),
      ),
    ),
  );
}

function configFor({ serves, required }: SmallConfig, layout: 'shared' | 'own'): Config {
  const documents = [0, 1].flatMap((container) => {
    const devices = serves.flatMap((each, group) =>
      each === container
        ? (GROUPS[group]?.devices ?? []).map((device) => ({ pci: ADDRESSES[device] }))
        : [],
    );
    if (devices.length === 0) return [];
    const dirtyTracking = { mode: required[container] ? 'required' : 'none' };
    const spec = { ...(layout === 'shared' ? { iommufd: 'x' } : {}), dirtyTracking, devices };
    const metadata = { name: `c${container}` };
    return [
      JSON.stringify({ apiVersion: 'autodomain.dev/v1alpha1', kind: 'Container', metadata, spec }),
    ];
  });
  return configOf(documents.join('\n---\n'));
}

/** Contexts and containers are named after their number. */
const numberOf = (name: string): number => (name === 'c1' ? 1 : 0);

/** The live graph as a state of the oracle. */
function stateOf(graph: Graph, host: SmallHost): SmallState {
  const hwpts: SmallHwpt[] = [];
  let state = emptyState(host);
  for (const context of graph.contexts.values()) {
    const number = numberOf(context.name);
    const places = new Map<string, number>();
    state = { ...state, open: state.open.with(number, true) };
    for (const container of context.containers.values()) {
      const index = numberOf(container.name);
      state = { ...state, ioas: state.ioas.with(index, true) };
      for (const { ref, dirtyTracking, iommu } of container.hwpts.values()) {
        places.set(ref, hwpts.length);
        const madeFor = iommu === 'dmar1' ? 1 : 0;
        hwpts.push({ container: index, dirty: dirtyTracking !== 'none', madeFor });
      }
    }
    for (const { key, attachment } of context.devices.values()) {
      const device = ADDRESSES.indexOf(key);
      const place = places.get(attachment?.pt ?? '') ?? -1;
      const { bound, on } = state;
      state = { ...state, bound: bound.with(device, number), on: on.with(device, place) };
    }
  }
  return { ...state, hwpts };
}

function costOf(plan: Plan, graph: Graph): Cost {
  const { outages, resets, replaces, kernelCalls } = plan.summary;
  const after = predictAll(graph, plan.steps);
  const containers = [...after.contexts.values()].flatMap((each) => [...each.containers.values()]);
  const hwpts = containers.reduce((sum, container) => sum + container.hwpts.size, 0);
  return [outages, resets, replaces, hwpts, kernelCalls];
}

const configs = allConfigs();

describe.each(['shared', 'own'] as const)('containers in %s context', (layout) => {
  const contexts = layout === 'shared' ? [0, 0] : [0, 1];
  const small: SmallHost = { iommus: IOMMUS, groups: GROUPS, contexts };

  it(`has no plan that could be cheaper (seed ${SEED})`, async () => {
    const random = seeded(SEED);
    const pairs = configs.flatMap((before) => configs.map((after) => ({ before, after })));
    const share = Math.min(1, SAMPLE / pairs.length);
    let searched = 0;
    for (const { before, after } of pairs) {
      if (random() >= share) continue;
      const world = new World(HOST);
      await world.apply(configFor(before, layout));
      const { plan, graph } = world.plan(configFor(after, layout), { removalsAllowed: 99 });
      expect(plan.blocked).toEqual([]);
      const cost = costOf(plan, graph);
      if (cost[4] > CALLS_MAX) continue;
      searched += 1;
      const cheaper = cheaperThan(small, stateOf(graph, small), after, cost);
      const show = (config: SmallConfig): string => JSON.stringify(config);
      expect(cheaper, `${show(before)} to ${show(after)} costs ${cost}`).toBeNull();
    }
    expect(searched).toBeGreaterThan(15);
  }, 3_600_000);
});

describe('the oracle', () => {
  it('finds a cheaper plan where there is one', () => {
    const small: SmallHost = { iommus: IOMMUS, groups: GROUPS, contexts: [0, 0] };
    const config = { serves: [0, null, null], required: [false, false] };
    expect(cheaperThan(small, emptyState(small), config, [0, 1, 0, 1, 7])).toEqual([0, 1, 0, 1, 6]);
    expect(cheaperThan(small, emptyState(small), config, [0, 1, 0, 1, 6])).toBeNull();
    expect(cheaperThan(small, emptyState(small), config, [1, 0, 0, 0, 9])).toEqual([0, 1, 0, 1, 6]);
  });
});
