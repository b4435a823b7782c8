/** What the model's kernel has and no journal entry knows. */
import type { Journal } from '../../src/engine/journal.ts';
import type { Machine } from '../../src/kernel/sim/machine.ts';

/** Objects and files that nobody accounts for, in words; empty where all is known. */
export function leaksOf(machine: Machine, journal: Journal): readonly string[] {
  const held = journal.contexts();
  const known = held.flatMap((context) => [
    ...context.containers.flatMap((each) => [each.ioas, ...each.hwpts.map(({ id }) => id)]),
    ...context.devices.map(({ devId }) => devId),
  ]);
  const objects = machine.contexts.flatMap((context) => [...context.objects.keys()]);
  const files = held.reduce((sum, context) => sum + 1 + context.devices.length, 0);
  return [
    ...(objects.length === known.length
      ? []
      : [`${objects.length} objects, ${known.length} known`]),
    ...(machine.openFiles === files ? [] : [`${machine.openFiles} files, ${files} known`]),
  ];
}
