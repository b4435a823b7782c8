/** The status document: what the loop knows, in the words of an operator. Pure. */
import { compareText, type DeviceKey, isBdf } from '../base/ids.ts';
import { idOf } from '../graph/refs.ts';
import type { LiveContainer, ObjectRef } from '../graph/types.ts';
import type { Plan } from '../plan/types.ts';
import type { Conditions } from './conditions.ts';
import type {
  ContainerStatus,
  DeviceStatus,
  HistoryEntry,
  SourceRevision,
  StatusDocument,
} from './control.ts';
import type { LoopView } from './loop.ts';

/** What the document is made of. */
export interface StatusFacts {
  readonly host: string;
  readonly pid: number;
  readonly version: string;
  readonly paths: readonly string[];
  readonly view: LoopView;
  readonly conditions: Conditions;
  readonly applied: SourceRevision | null;
  /** RFC 3339, UTC. */
  readonly nextRun: string | null;
  readonly stuck: StatusDocument['daemon']['stuck'];
  readonly history: readonly HistoryEntry[];
}

/** Makes the document. */
export function statusDocument(facts: StatusFacts): StatusDocument {
  const { view, conditions } = facts;
  const all = gather(view);
  return {
    formatVersion: '1.0',
    kind: 'Status',
    host: facts.host,
    daemon: {
      pid: facts.pid,
      version: facts.version,
      conditions: conditions.of(''),
      stuck: facts.stuck,
    },
    source: { paths: facts.paths, attempted: attemptedOf(view), applied: facts.applied },
    containers: containerNames(view).map((name) => containerStatus(name, all, conditions)),
    nextRun: facts.nextRun,
    history: facts.history,
  };
}

/** The state of the files that was looked at last, valid or not. */
export function attemptedOf({ source, loaded }: LoopView): SourceRevision | null {
  if (source.state === 'invalid') return { digest: source.digest, revision: null };
  return loaded === null ? null : { digest: loaded.digest, revision: loaded.revision };
}

/** Containers that the config has on this host, and those that are there, sorted. */
export function containerNames({ plan, graph }: LoopView): readonly string[] {
  const names = new Set(plan?.cells.flatMap(({ containers }) => containers));
  for (const context of graph?.contexts.values() ?? []) {
    for (const name of context.containers.keys()) names.add(name);
  }
  return [...names].sort(compareText);
}

/** What the containers have, gathered in one walk. */
interface Gathered {
  readonly attached: ReadonlyMap<string, readonly Place[]>;
  readonly containers: ReadonlyMap<string, LiveContainer>;
  readonly bound: ReadonlySet<DeviceKey>;
  /** Devices that each container is still to get, by the plan. */
  readonly awaited: ReadonlyMap<string, readonly DeviceKey[]>;
  readonly leaving: ReadonlySet<DeviceKey>;
}

interface Place {
  readonly key: DeviceKey;
  readonly pt: ObjectRef;
}

function gather({ graph, plan }: LoopView): Gathered {
  const attached = new Map<string, Place[]>();
  const containers = new Map<string, LiveContainer>();
  const bound = new Set<DeviceKey>();
  for (const context of graph?.contexts.values() ?? []) {
    for (const container of context.containers.values()) containers.set(container.name, container);
    for (const { key, attachment } of context.devices.values()) {
      if (attachment === null) bound.add(key);
      else add(attached, attachment.container, { key, pt: attachment.pt });
    }
  }
  return { attached, containers, bound, ...expectedBy(plan) };
}

function expectedBy(plan: Plan | null): Pick<Gathered, 'awaited' | 'leaving'> {
  const awaited = new Map<string, DeviceKey[]>();
  const leaving = new Set<DeviceKey>();
  for (const step of plan?.steps ?? []) {
    if (step.kind === 'detach-device') leaving.add(step.args.device);
    if (step.kind === 'attach-device') add(awaited, step.args.container, step.args.device);
  }
  for (const blocker of plan?.blocked ?? []) {
    if (blocker.kind === 'device-missing') add(awaited, blocker.container, blocker.device);
  }
  return { awaited, leaving };
}

function containerStatus(name: string, all: Gathered, conditions: Conditions): ContainerStatus {
  const live = all.containers.get(name);
  const held = all.attached.get(name) ?? [];
  const has = new Set(held.map(({ key }) => key));
  const awaited = [...(all.awaited.get(name) ?? [])].filter((key) => !has.has(key));
  return {
    name,
    conditions: conditions.of(name),
    hwpts: [...(live?.hwpts.values() ?? [])].flatMap(({ ref, dirtyTracking }) => {
      const id = idOf(ref);
      return id === null ? [] : [{ id, dirtyTracking }];
    }),
    devices: [
      ...held.map(({ key, pt }): DeviceStatus => {
        const hwpt = live?.hwpts.get(pt) ?? null;
        return {
          ...named(key),
          state: all.leaving.has(key) ? 'leaving' : 'attached',
          hwpt: hwpt === null ? null : idOf(pt),
          tracking: (hwpt?.dirtyTracking ?? 'none') === 'none' ? 'none' : 'iommu',
        };
      }),
      ...awaited.map(
        (key): DeviceStatus => ({
          ...named(key),
          state: all.bound.has(key) ? 'bound' : 'missing',
          hwpt: null,
          tracking: 'none',
        }),
      ),
    ],
  };
}

function named(key: DeviceKey): { readonly pci: string } | { readonly mdev: string } {
  return isBdf(key) ? { pci: key } : { mdev: key };
}

function add<T>(lists: Map<string, T[]>, key: string, value: T): void {
  const list = lists.get(key);
  if (list) list.push(value);
  else lists.set(key, [value]);
}
