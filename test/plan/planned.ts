/**
 * The planner on a small host: state and goal become a graph and a config, and the steps of the plan
 * are made one by one under the kernel's rules, which also say what they cost.
 */
import type { Bdf } from '../../src/base/ids.ts';
import { observeHost } from '../../src/engine/host.ts';
import { idRef } from '../../src/graph/refs.ts';
import type { Context, Graph, LiveContainer } from '../../src/graph/types.ts';
import { planHost } from '../../src/plan/planner.ts';
import { DEFAULT_OPTIONS } from '../../src/plan/planner-options.ts';
import type { Plan } from '../../src/plan/types.ts';
import type { Config } from '../../src/spec/config.ts';
import type { Step } from '../../src/steps/def.ts';
import { configOf, hostOf, World } from '../support/world.ts';
import type { Cost, SmallGoal } from './goal.ts';
import {
  allocHwpt,
  allocIoas,
  attach,
  bind,
  CONTEXTS,
  closeContext,
  closeDevice,
  destroyHwpt,
  destroyIoas,
  detach,
  freePlace,
  homeOf,
  openContext,
  type SmallGroup,
  type SmallHost,
  type SmallState,
} from './kernel.ts';

const IOAS_ID = 100;

/** Plans on one small host. */
export class SmallPlanner {
  readonly #host: SmallHost;
  readonly #base: Graph;
  readonly #configs = new WeakMap<SmallGoal, Config>();
  readonly #graphs = new WeakMap<SmallState, Graph>();

  constructor(host: SmallHost) {
    this.#host = host;
    this.#base = observeHost(new World(hostOf(hostText(host))).host).graph;
  }

  /** The plan from a state to a goal. */
  plan(from: SmallState, goal: SmallGoal): Plan {
    const config = this.#configs.get(goal) ?? configOf(configText(this.#host, goal));
    const graph = this.#graphs.get(from) ?? graphOf(this.#host, this.#base, from);
    this.#configs.set(goal, config);
    this.#graphs.set(from, graph);
    return planHost(config, graph, { ...DEFAULT_OPTIONS, removalsAllowed: 99 });
  }
}

function bdf(device: number): string {
  return `0000:0${device + 1}:00.0`;
}

function deviceOf(key: string): number {
  return Number(key[6]) - 1;
}

function hostText(host: SmallHost): string {
  const groups = host.groups.map(({ iommu }, id) => ({ id, iommu: `u${iommu}` }));
  const devices = host.groups.flatMap((group, id) =>
    group.devices.map((device) => ({
      ...{ pci: bdf(device), group: id, driver: 'vfio-pci', cdev: `vfio${device}` },
      ...{ vendor: '1234', device: '0001', class: '000000' },
    })),
  );
  const iommus = host.iommus.map(({ type, width, dirty, snoop, coherent }, unit) => ({
    ...{ name: `u${unit}`, type, addressWidth: width, dirtyTracking: dirty },
    ...{ snoopControl: snoop, coherentWalk: coherent, msiIsolated: true },
  }));
  const kernel = { release: 'x', features: ['iommufd', 'vfio-cdev', 'vfio-pci'] };
  return JSON.stringify({
    apiVersion: 'autodomain.dev/v1alpha1',
    kind: 'Host',
    metadata: { name: 'small' },
    spec: { kernel, iommus, groups, devices },
  });
}

function configText(host: SmallHost, { serves, modes, contexts }: SmallGoal): string {
  const documents = modes.flatMap((mode, container) => {
    const devices = host.groups.flatMap((group, index) =>
      serves[index] === container ? group.devices.map((device) => ({ pci: bdf(device) })) : [],
    );
    if (devices.length === 0) return [];
    const spec = { iommufd: `k${contexts[container]}`, dirtyTracking: { mode }, devices };
    const metadata = { name: `c${container}` };
    const head = { apiVersion: 'autodomain.dev/v1alpha1', kind: 'Container' };
    return [JSON.stringify({ ...head, metadata, spec })];
  });
  return documents.join('\n---\n');
}

function graphOf(host: SmallHost, base: Graph, state: SmallState): Graph {
  const contexts = new Map<string, Context>();
  for (const [number, open] of state.open.entries()) {
    if (open) contexts.set(`k${number}`, contextOf(host, state, number));
  }
  return { ...base, contexts };
}

function contextOf(host: SmallHost, state: SmallState, context: number): Context {
  const containers = new Map<string, LiveContainer>();
  for (const container of [0, 1]) {
    const home = homeOf(container, context);
    if (!state.ioas[home]) continue;
    const name = `c${container}`;
    const hwpts = state.hwpts.flatMap((hwpt, place) => {
      if (hwpt?.home !== home) return [];
      const ref = idRef(place + 1);
      const dirtyTracking = hwpt.dirty ? ('capable' as const) : ('none' as const);
      return [[ref, { ref, dirtyTracking, nesting: false, iommu: `u${hwpt.madeFor}` }] as const];
    });
    const options = { allow: [], hugePages: true, deletion: 'allow' } as const;
    containers.set(name, { name, ioas: idRef(IOAS_ID + home), ...options, hwpts: new Map(hwpts) });
  }
  const devices = host.groups
    .flatMap((group) => group.devices)
    .filter((device) => state.bound[device] === context)
    .map((device) => {
      const key = bdf(device) as Bdf;
      const hwpt = state.hwpts[state.on[device] ?? -1];
      const container = `c${Math.floor((hwpt?.home ?? 0) / CONTEXTS)}`;
      const pt = idRef((state.on[device] ?? -1) + 1);
      return [key, { key, attachment: hwpt ? { container, pt } : null }] as const;
    });
  const name = `k${context}`;
  const facts = { contradictions: [], consumers: [] };
  return { name, containers, devices: new Map(devices), ...facts };
}

/** What the steps come to, and what they cost by the kernel's rules. Throws where the kernel would refuse one. */
export function replay(
  host: SmallHost,
  from: SmallState,
  steps: readonly Step[],
): { readonly state: SmallState; readonly cost: Cost } {
  const places = new Map<string, number>();
  for (const place of from.hwpts.keys()) places.set(idRef(place + 1), place);
  let state = from;
  let [outages, resets, replaces, calls] = [0, 0, 0, 0];
  for (const step of steps) {
    if (step.kind === 'alloc-hwpt') places.set(step.args.hwpt, freePlace(state));
    const made = make(host, state, step, places);
    if (made === null) throw new Error(`the kernel refuses ${step.kind} ${step.id}`);
    outages += Number(step.kind === 'detach-device');
    resets += Number(step.kind === 'open-device' || step.kind === 'close-device');
    replaces += Number(
      step.kind === 'attach-device' && state.on[deviceOf(step.args.device)] !== -1,
    );
    calls += step.kind === 'open-device' ? 2 : 1;
    state = made;
  }
  const hwpts = state.hwpts.filter((hwpt) => hwpt !== null).length;
  return { state, cost: [outages, resets, replaces, hwpts, calls] };
}

function make(
  host: SmallHost,
  state: SmallState,
  step: Step,
  places: ReadonlyMap<string, number>,
): SmallState | null {
  switch (step.kind) {
    case 'open-context':
      return openContext(state, numberOf(step.args.context));
    case 'close-context':
      return closeContext(state, numberOf(step.args.context));
    case 'alloc-ioas':
      return allocIoas(state, homeIn(step.args));
    case 'destroy-ioas':
      return destroyIoas(state, homeIn(step.args));
    case 'open-device': {
      const { device, context } = step.args;
      return bind(state, groupOf(host, device), deviceOf(device), numberOf(context));
    }
    case 'close-device':
      return closeDevice(state, deviceOf(step.args.device));
    case 'alloc-hwpt': {
      const { for: key, flags } = step.args;
      const { iommu } = groupOf(host, key);
      const hwpt = { home: homeIn(step.args), dirty: flags.dirtyTracking, madeFor: iommu };
      return allocHwpt(host, state, hwpt, { device: deviceOf(key), iommu });
    }
    case 'destroy-hwpt':
      return destroyHwpt(state, places.get(step.args.hwpt) ?? -1);
    case 'attach-device': {
      const { device, candidates } = step.args;
      const place = places.get(candidates[0]) ?? -1;
      return attach(host, state, groupOf(host, device), deviceOf(device), place);
    }
    case 'detach-device':
      return detach(state, deviceOf(step.args.device));
    default:
      throw new Error(`${step.kind} has no place in these plans`);
  }
}

/** Contexts and containers are named after their number. */
function numberOf(name: string): number {
  return Number(name[1]);
}

function homeIn(args: { readonly container: string; readonly context: string }): number {
  return homeOf(numberOf(args.container), numberOf(args.context));
}

function groupOf(host: SmallHost, key: string): SmallGroup {
  const group = host.groups.find(({ devices }) => devices.includes(deviceOf(key)));
  if (group === undefined) throw new Error(`${key} is in no group`);
  return group;
}
