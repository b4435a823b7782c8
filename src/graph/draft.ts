/**
 * A graph that steps are tried on: one mutable copy of the parts that steps change. A copy for
 * every step would make prediction quadratic in the number of devices.
 */
import { present } from '../base/assert.ts';
import type { DeviceKey } from '../base/ids.ts';
import type { IovaRange } from '../base/iova.ts';
import type {
  BoundDevice,
  Consumer,
  Context,
  DeletionPolicy,
  Device,
  Graph,
  Hwpt,
  LiveContainer,
  ObjectRef,
} from './types.ts';

/** A container that is being changed. */
export interface DraftContainer {
  name: string;
  readonly ioas: ObjectRef;
  allow: readonly IovaRange[];
  hugePages: boolean;
  deletion: DeletionPolicy;
  readonly hwpts: Map<ObjectRef, Hwpt>;
}

/** A context that is being changed. */
export interface DraftContext {
  name: string;
  readonly containers: Map<string, DraftContainer>;
  readonly devices: Map<DeviceKey, BoundDevice>;
  readonly contradictions: readonly string[];
  readonly consumers: readonly Consumer[];
}

/** A graph that is being changed. Hardware does not change by steps, but drivers do. */
export interface Draft {
  readonly base: Graph;
  readonly contexts: Map<string, DraftContext>;
  readonly devices: Map<DeviceKey, Device>;
}

/** A copy of the graph to try steps on. */
export function draftOf(graph: Graph): Draft {
  return {
    base: graph,
    contexts: new Map([...graph.contexts].map(([name, context]) => [name, copyContext(context)])),
    devices: new Map(graph.devices),
  };
}

/** The graph that a draft has become. The draft must not be used afterwards. */
export function graphOf(draft: Draft): Graph {
  return { ...draft.base, contexts: draft.contexts, devices: draft.devices };
}

/** The context of that name; a step that names another is a bug of the planner. */
export function draftContext(draft: Draft, name: string): DraftContext {
  return present(draft.contexts.get(name), `context ${name}`);
}

/** The container of that name in the context; a step that names another is a bug of the planner. */
export function draftContainer(draft: Draft, context: string, name: string): DraftContainer {
  return present(draftContext(draft, context).containers.get(name), `container ${name}`);
}

/** The bound device of that key in the context; a step that names another is a bug of the planner. */
export function draftDevice(draft: Draft, context: string, key: DeviceKey): BoundDevice {
  return present(draftContext(draft, context).devices.get(key), `device ${key} in ${context}`);
}

function copyContext(context: Context): DraftContext {
  return {
    name: context.name,
    containers: new Map(
      [...context.containers].map(([name, container]) => [name, copyContainer(container)]),
    ),
    devices: new Map(context.devices),
    contradictions: context.contradictions,
    consumers: context.consumers,
  };
}

function copyContainer(container: LiveContainer): DraftContainer {
  return { ...container, hwpts: new Map(container.hwpts) };
}
