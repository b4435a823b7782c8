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
    if (world.selection.going.has(key)) continue;
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

/**
 * A device that a new container claims while the vanished old one may still come back, and a container
 * that goes to another context while a device that the config no longer names would stay behind.
 */
function movesThatWait(world: World): readonly Blocker[] {
  if (world.options.removals === 'now') return [];
  const goesFrom = (why: Removal['why']): ReadonlyMap<string, string> =>
    new Map(
      world.scope.removals
        .filter((removal) => removal.why === why)
        .map(({ container, context }) => [container.name, context]),
    );
  const vanished = goesFrom('vanished');
  const moved = goesFrom('moved');
  return [...world.holdings].flatMap(([device, holding]): Blocker[] => {
    const from = holding.device.attachment?.container;
    if (from === undefined || world.leaving.has(device)) return [];
    const claimant = world.selection.assigned.get(device)?.container ?? null;
    const waits =
      claimant === null
        ? moved.get(from) === holding.context
        : claimant !== from && vanished.has(from);
    return waits ? [{ kind: 'move-waits', container: claimant ?? from, device, from }] : [];
  });
}
