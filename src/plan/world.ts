/** Everything that rules look at, worked out once: the live graph, what is wanted, and which device serves what. */
import { compareText, type DeviceKey } from '../base/ids.ts';
import { type Holding, holdingsOf } from '../graph/query.ts';
import type { Device, Graph, Iommu, LiveContainer } from '../graph/types.ts';
import type { Config, ContainerSpec } from '../spec/config.ts';
import { type Removal, type Scope, scopeOf } from './scope.ts';
import { type Selection, selectDevices } from './select.ts';
import { type Untouchable, untouchableIn } from './stuck.ts';
import type { PlanOptions } from './types.ts';

/** A container that shall live, with what lives of it already. */
export interface Wanted {
  readonly spec: ContainerSpec;
  /** The live container in the wanted context; null: it is to be made. */
  readonly live: LiveContainer | null;
  /** The devices that shall serve it, by key. */
  readonly devices: readonly Device[];
}

/** The input of every rule. */
export interface World {
  /** The live graph, renames applied. */
  readonly graph: Graph;
  readonly options: PlanOptions;
  readonly scope: Scope;
  readonly selection: Selection;
  readonly holdings: ReadonlyMap<DeviceKey, Holding>;
  readonly wanted: readonly Wanted[];
  /** Containers to remove now; those in grace are left out. */
  readonly removals: readonly Removal[];
  /** Held devices that no container wants and that are to leave now. */
  readonly leaving: ReadonlySet<DeviceKey>;
  /** Containers with something that waits for its grace to end. */
  readonly waiting: readonly string[];
  /** What a call that does not return works on. */
  readonly untouchable: Untouchable;
}

/** Works the input of the rules out. */
export function buildWorld(config: Config, live: Graph, options: PlanOptions): World {
  const scope = scopeOf(config, live);
  const { graph } = scope;
  const holdings = holdingsOf(graph);
  const selection = selectDevices(graph, holdings, scope.wanted);
  const waiting = new Set<string>();
  const removals = scope.removals.filter((removal) => {
    const waits = options.removals === 'hold' && removal.why === 'vanished';
    if (waits) waiting.add(removal.container.name);
    return !waits;
  });
  const leaving = leavingDevices(scope, holdings, selection, options, waiting);
  return {
    graph,
    options,
    scope,
    selection,
    holdings,
    wanted: buildWanted(scope, selection),
    removals,
    leaving,
    waiting: [...waiting].sort(compareText),
    untouchable: untouchableIn(graph, scope.renames),
  };
}

/** The IOMMU behind a device; null for an mdev and where sysfs names none. */
export function iommuOf(graph: Graph, device: Device): Iommu | null {
  return device.kind === 'pci' && device.iommu !== null
    ? (graph.iommus.get(device.iommu) ?? null)
    : null;
}

/** Live contexts that no wanted container is in and in which nothing stays: by name. */
export function contextsThatEnd(world: World): readonly string[] {
  const needed = new Set(world.wanted.map(({ spec }) => spec.context));
  const removed = new Map<string, number>();
  for (const { context } of world.removals) removed.set(context, (removed.get(context) ?? 0) + 1);
  const goes = (key: DeviceKey): boolean =>
    world.leaving.has(key) || world.selection.assigned.has(key);
  return [...world.graph.contexts.values()]
    .filter((context) => {
      if (needed.has(context.name)) return false;
      if ((removed.get(context.name) ?? 0) < context.containers.size) return false;
      return [...context.devices.keys()].every(goes);
    })
    .map((context) => context.name);
}

function buildWanted(scope: Scope, selection: Selection): readonly Wanted[] {
  const devices = new Map<string, Device[]>();
  for (const [key, { container }] of selection.assigned) {
    const device = scope.graph.devices.get(key);
    if (!device) continue;
    const list = devices.get(container);
    if (list) list.push(device);
    else devices.set(container, [device]);
  }
  return scope.wanted.map((spec) => ({
    spec,
    live: scope.graph.contexts.get(spec.context)?.containers.get(spec.name) ?? null,
    devices: (devices.get(spec.name) ?? []).sort((a, b) => compareText(a.key, b.key)),
  }));
}

function leavingDevices(
  scope: Scope,
  holdings: ReadonlyMap<DeviceKey, Holding>,
  selection: Selection,
  options: PlanOptions,
  waiting: Set<string>,
): ReadonlySet<DeviceKey> {
  const leaving = new Set<DeviceKey>();
  for (const [key, { device }] of holdings) {
    if (selection.assigned.has(key)) continue;
    if (selection.going.has(key)) {
      leaving.add(key);
      continue;
    }
    const container = device.attachment?.container ?? null;
    if (options.removals === 'hold' && container !== null && !scope.absent.has(container)) {
      waiting.add(container);
    } else {
      leaving.add(key);
    }
  }
  return leaving;
}
