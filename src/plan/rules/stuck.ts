/** While a call of ours does not return, nothing that it works on is touched: a second one would wait behind it. */
import type { DeviceKey } from '../../base/ids.ts';
import type { StuckCall } from '../../graph/types.ts';
import { inSteps } from '../stuck.ts';
import type { Blocker } from '../types.ts';
import type { Rule } from './rule.ts';

/** Blocks containers in a context, or with a device, that a call is stuck on. A context without containers blocks under its own name. */
export const stuck: Rule = ({ graph, wanted, untouchable }) => {
  if (graph.stuck.length === 0) return [];
  const found = new Map<string, Set<StuckCall>>();
  const look = (
    containers: readonly string[],
    context: string,
    devices: Iterable<DeviceKey>,
  ): void => {
    const calls = [
      ...untouchable.ofContext(context),
      ...[...devices].flatMap((key) => untouchable.ofDevice(key)),
    ];
    if (calls.length === 0) return;
    for (const name of containers) {
      found.set(name, new Set([...(found.get(name) ?? []), ...calls]));
    }
  };
  for (const { spec, devices } of wanted) {
    look(
      [spec.name],
      spec.context,
      devices.map(({ key }) => key),
    );
  }
  for (const context of graph.contexts.values()) {
    const names = [...context.containers.keys()];
    look(names.length > 0 ? names : [context.name], context.name, context.devices.keys());
  }
  return [...found].map(([container, calls]): Blocker => {
    return { kind: 'stuck', container, calls: [...calls].map(inSteps) };
  });
};
