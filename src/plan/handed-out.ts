/** What a consumer has in its hands is left alone: no step in its context, whoever wants one. */
import { compareText, type DeviceKey } from '../base/ids.ts';
import type { Graph } from '../graph/types.ts';
import type { Cells } from './cells.ts';
import type { Emission } from './step-list.ts';
import type { Blocker } from './types.ts';

/** Blockers for contexts that a consumer has and that steps would change; empty where none would. */
export function handedOut(
  graph: Graph,
  cells: Cells,
  emissions: readonly Emission[],
): readonly Blocker[] {
  const blockers: Blocker[] = [];
  for (const { name, consumers, containers } of graph.contexts.values()) {
    if (consumers.length === 0) continue;
    const cell = cells.ofContext(name);
    const steps = emissions.filter((emission) => emission.cell === cell).length;
    if (steps === 0) continue;
    const [container = name] = [...containers.keys()].sort(compareText);
    blockers.push({ kind: 'handed-out', container, context: name, by: consumers, steps });
  }
  return blockers;
}

/** Devices in contexts that a consumer has. */
export function devicesHandedOut(graph: Graph): ReadonlySet<DeviceKey> {
  const devices = new Set<DeviceKey>();
  for (const context of graph.contexts.values()) {
    if (context.consumers.length === 0) continue;
    for (const key of context.devices.keys()) devices.add(key);
  }
  return devices;
}
