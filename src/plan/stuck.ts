/**
 * What calls that do not return keep from being touched: the context that they work in, and every device
 * that shares a lane with theirs, because the kernel holds the lock of the dev_set meanwhile.
 */
import type { DeviceKey } from '../base/ids.ts';
import type { Graph, StuckCall } from '../graph/types.ts';
import { lanesOf } from './lanes.ts';
import type { Scope } from './scope.ts';

/** Asks which calls hold something up; an empty list: none. */
export interface Untouchable {
  ofContext(name: string): readonly StuckCall[];
  ofDevice(key: DeviceKey): readonly StuckCall[];
}

const NONE: Untouchable = { ofContext: () => [], ofDevice: () => [] };

/** What is untouchable. `graph` has the renames applied; calls know a context by the name that it had. */
export function untouchableIn(graph: Graph, renames: Scope['renames']): Untouchable {
  if (graph.stuck.length === 0) return NONE;
  const lanes = lanesOf(graph);
  const now = new Map(renames.map(({ args }) => [args.context, args.toContext]));
  const byContext = new Map<string, StuckCall[]>();
  const byLane = new Map<string, StuckCall[]>();
  for (const call of graph.stuck) {
    if (call.context !== null) append(byContext, now.get(call.context) ?? call.context, call);
    if (call.device !== null) append(byLane, lanes.ofDevice(call.device), call);
  }
  return {
    ofContext: (name) => byContext.get(name) ?? [],
    ofDevice: (key) => byLane.get(lanes.ofDevice(key)) ?? [],
  };
}

function append(map: Map<string, StuckCall[]>, key: string, call: StuckCall): void {
  const list = map.get(key);
  if (list) list.push(call);
  else map.set(key, [call]);
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const AGES_MS = [
  ...[10, 30].map((seconds) => seconds * SECOND),
  ...[1, 2, 5, 10, 30].map((minutes) => minutes * MINUTE),
  ...[1, 2, 6, 12, 24].map((hours) => hours * HOUR),
];

/** The call with its age in steps: two plans of one state are the same, and a daemon says it again as it gets worse. */
export function inSteps(call: StuckCall): StuckCall {
  return { ...call, ageMs: AGES_MS.findLast((age) => age <= call.ageMs) ?? 0 };
}
