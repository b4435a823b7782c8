/** Containers tied together by a shared context, a shared group or a moving device: the unit of success and of rollback. */
import type { DeviceKey } from '../base/ids.ts';
import { UnionFind } from '../base/union-find.ts';
import { groupOf } from '../graph/query.ts';
import type { World } from './world.ts';

/** Names the cell of a container or a context. */
export interface Cells {
  ofContainer(name: string): string;
  ofContext(name: string): string;
}

/** The cells of a plan. A cell is named after its first container in alphabetical order. */
export function cellsOf(world: World): Cells {
  const sets = new UnionFind();
  for (const { spec } of world.wanted) sets.join(container(spec.name), context(spec.context));
  for (const live of world.graph.contexts.values()) {
    sets.add(context(live.name));
    for (const name of live.containers.keys()) sets.join(container(name), context(live.name));
  }
  joinDevices(sets, world);
  return {
    ofContainer: (name) => sets.find(container(name)).slice(2),
    ofContext: (name) => sets.find(context(name)).slice(2),
  };
}

/** A device ties where it is, where it goes, and all that its group mates tie. */
function joinDevices(sets: UnionFind, world: World): void {
  const joinGroup = (key: DeviceKey, member: string): void => {
    const device = world.graph.devices.get(key);
    const group = device ? groupOf(device) : null;
    if (group !== null) sets.join(member, `g ${group}`);
  };
  for (const [key, assignment] of world.selection.assigned) {
    joinGroup(key, container(assignment.container));
    const holding = world.holdings.get(key);
    if (holding) sets.join(container(assignment.container), context(holding.context));
  }
  for (const [key, holding] of world.holdings) joinGroup(key, context(holding.context));
}

/** Members sort containers first, so that a set is named after a container where it has one. */
function container(name: string): string {
  return `c ${name}`;
}

function context(name: string): string {
  return `x ${name}`;
}

/**
 * The cell of whatever happens to a held device that leaves; null: a blocker holds it up. Nothing holds
 * up a device that is being removed from the host: who removes it sleeps in the kernel until we let go.
 */
export function cellOfLeave(
  key: DeviceKey,
  cell: string,
  going: ReadonlySet<DeviceKey>,
  isOpen: (cell: string) => boolean,
): string | null {
  if (isOpen(cell)) return cell;
  return going.has(key) ? `removal of ${key}` : null;
}
