/** QEMU's way beside ours: a small host's pair, or a graph with what a plan expects, put as QEMU's edit. */
import type { Graph, Iommu } from '../../src/graph/types.ts';
import type { Plan } from '../../src/plan/types.ts';
import { kernelCallsOf } from '../../src/steps/index.ts';
import type { SmallGoal } from './goal.ts';
import { CONTEXTS, contextOf, type SmallHost, type SmallIommu, type SmallState } from './kernel.ts';
import {
  type QemuDevice,
  type QemuHwpt,
  type QemuResult,
  type QemuState,
  type QemuWish,
  qemuEdit,
} from './qemu.ts';

/** What QEMU does to get from a state to a goal. */
export function qemuOnSmall(host: SmallHost, from: SmallState, goal: SmallGoal): QemuResult {
  const name = (home: number): string => `${contextOf(home)}/${Math.floor(home / CONTEXTS)}`;
  const devices = new Map<string, QemuDevice>();
  const wishes = new Map<string, QemuWish>();
  const bound = new Map<string, string>();
  for (const [index, group] of host.groups.entries()) {
    const container = goal.serves[index] ?? null;
    for (const device of group.devices) {
      const key = String(device);
      devices.set(key, { group: String(index), iommu: group.iommu });
      if (from.bound[device] !== -1) bound.set(key, String(from.bound[device]));
      if (container === null) continue;
      const mode = goal.modes[container];
      const tracked =
        mode === 'required' || (mode === 'preferred' && !!host.iommus[group.iommu]?.dirty);
      wishes.set(key, {
        context: String(goal.contexts[container]),
        container: String(container),
        tracked,
      });
    }
  }
  const hwpts = from.hwpts.flatMap((hwpt, place): QemuHwpt[] => {
    if (hwpt === null) return [];
    const on = from.on.flatMap((at, device) => (at === place ? [String(device)] : []));
    return [{ ...hwpt, home: name(hwpt.home), devices: new Set(on) }];
  });
  const state: QemuState = {
    contexts: new Set(from.open.flatMap((open, context) => (open ? [String(context)] : []))),
    ioases: new Set(from.ioas.flatMap((exists, home) => (exists ? [name(home)] : []))),
    bound,
    mdevs: new Map(),
    hwpts,
  };
  return qemuEdit({ iommus: host.iommus, devices }, state, wishes);
}

/** What QEMU does to get from a graph to what the plan expects. */
export function qemuOnGraph(graph: Graph, plan: Plan): QemuResult {
  const iommus = [...graph.iommus.values()];
  const place = (name: string | null): number => iommus.findIndex((each) => each.name === name);
  const devices = new Map(
    [...graph.devices.values()].map((device): [string, QemuDevice] => [
      device.key,
      device.kind === 'mdev' ? null : { group: `${device.group}`, iommu: place(device.iommu) },
    ]),
  );
  const wishes = new Map<string, QemuWish>();
  for (const each of plan.expects) {
    if (each.kind !== 'attached') continue;
    const tracked = each.hwpt !== null && each.hwpt.dirtyTracking !== 'none';
    wishes.set(each.device, { context: each.context, container: each.container, tracked });
  }
  return qemuEdit({ iommus: iommus.map(smallOf), devices }, stateOf(graph, place), wishes);
}

function stateOf(graph: Graph, place: (iommu: string | null) => number): QemuState {
  const state: QemuState = {
    contexts: new Set(),
    ioases: new Set(),
    bound: new Map(),
    mdevs: new Map(),
    hwpts: [],
  };
  for (const context of graph.contexts.values()) {
    state.contexts.add(context.name);
    for (const container of context.containers.values()) {
      const home = `${context.name}/${container.name}`;
      state.ioases.add(home);
      for (const { ref, dirtyTracking, iommu } of container.hwpts.values()) {
        const on = [...context.devices.values()].filter((each) => each.attachment?.pt === ref);
        const users = new Set<string>(on.map(({ key }) => key));
        const dirty = dirtyTracking !== 'none';
        state.hwpts.push({ home, dirty, madeFor: place(iommu), devices: users });
      }
    }
    for (const { key, attachment } of context.devices.values()) {
      state.bound.set(key, context.name);
      const onIoas = graph.devices.get(key)?.kind === 'mdev' && attachment !== null;
      if (onIoas) state.mdevs.set(key, `${context.name}/${attachment.container}`);
    }
  }
  return state;
}

/** What is not known counts as absent, as the driver would say where it is so. */
function smallOf(iommu: Iommu): SmallIommu {
  const { type, addressWidth, dirtyTracking, snoopControl, coherentWalk } = iommu;
  return {
    type: type === 'amd' || type === 'arm-smmu-v3' ? type : 'intel',
    width: addressWidth ?? 0,
    dirty: dirtyTracking === 'yes',
    snoop: snoopControl === 'yes',
    coherent: coherentWalk === 'yes',
  };
}

/** The calls of a plan that QEMU's algorithm would make as well: drivers, allow lists and switches are not its business. */
export function comparableCalls(plan: Plan): number {
  const ours = new Set(['bind-driver', 'allow-iovas', 'set-huge-pages', 'set-dirty-tracking']);
  return plan.steps
    .filter((step) => !ours.has(step.kind))
    .reduce((sum, step) => sum + kernelCallsOf(step), 0);
}
