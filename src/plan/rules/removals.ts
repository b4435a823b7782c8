/**
 * Guards on taking away: a policy that protects a container, a removal of more than half of what is
 * managed, and a move whose old place is still in grace.
 */
import { compareText } from '../../base/ids.ts';
import type { Removal } from '../scope.ts';
import type { Blocker } from '../types.ts';
import type { World } from '../world.ts';
import type { Rule } from './rule.ts';

/** Blocks removals that the operator did not clearly ask for. */
export const removalGuards: Rule = (world) => [
  ...world.removals.flatMap((removal) => byPolicy(world, removal)),
  ...byCount(world),
  ...movesThatWait(world),
];

function byPolicy(world: World, { container, why }: Removal): readonly Blocker[] {
  if (why === 'moved') return [];
  const { name } = container;
  const policy = world.scope.absent.get(name)?.deletion ?? container.deletion;
  if (policy === 'protect') return [{ kind: 'protected', container: name }];
  if (policy === 'confirm' && !world.options.confirmed.includes(name)) {
    return [{ kind: 'needs-confirmation', container: name }];
  }
  return [];
}

/** Devices that leave because something is gone from the config, counted against what is managed. */
function byCount(world: World): readonly Blocker[] {
  const losers = new Map<string, number>();
  for (const key of world.leaving) {
    const container = world.holdings.get(key)?.device.attachment?.container;
    if (container === undefined || world.scope.absent.has(container)) continue;
    losers.set(container, (losers.get(container) ?? 0) + 1);
  }
  const removed = [...losers.values()].reduce((sum, count) => sum + count, 0);
  const managed = world.holdings.size;
  const limit = world.options.removalsAllowed ?? Math.max(1, Math.floor(managed / 2));
  if (removed <= limit) return [];
  return [...losers.keys()]
    .sort(compareText)
    .map((container) => ({ kind: 'too-many-removals', container, removed, managed, limit }));
}

/** A device that a new container claims while the vanished old one may still come back. */
function movesThatWait(world: World): readonly Blocker[] {
  if (world.options.removals === 'now') return [];
  const inGrace = new Set(
    world.scope.removals
      .filter((removal) => removal.why === 'vanished')
      .map((removal) => removal.container.name),
  );
  const blocked: Blocker[] = [];
  for (const [key, { container }] of world.selection.assigned) {
    const from = world.holdings.get(key)?.device.attachment?.container;
    if (from === undefined || from === container || !inGrace.has(from)) continue;
    blocked.push({ kind: 'move-waits', container, device: key, from });
  }
  return blocked;
}
