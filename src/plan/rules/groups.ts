/**
 * An IOMMU group goes to one container, whole or not at all: every member that could do DMA is
 * either listed, or accepted in writing, or the plan is blocked and names it.
 */
import type { DeviceKey, GroupId } from '../../base/ids.ts';
import { endpointsOf, groupOf, isDmaSafeDriver } from '../../graph/query.ts';
import type { PciDevice } from '../../graph/types.ts';
import type { ContainerSpec } from '../../spec/config.ts';
import type { Blocker } from '../types.ts';
import type { Wanted, World } from '../world.ts';
import type { Rule } from './rule.ts';

/** Blocks containers whose groups are torn, not viable, or hold members that nobody listed. */
export const groups: Rule = (world) => world.wanted.flatMap((each) => ofContainer(world, each));

function ofContainer(world: World, { spec, devices }: Wanted): readonly Blocker[] {
  const blocked: Blocker[] = [];
  const seen = new Set<GroupId>();
  for (const device of devices) {
    const group = groupOf(device);
    if (group === null || seen.has(group)) continue;
    seen.add(group);
    const mates = endpointsOf(world.graph, group).filter((mate) => mate.key !== device.key);
    const torn = tornBy(world, spec, device.key, group, mates);
    if (torn) blocked.push(torn);
    else blocked.push(...unlistedMates(world, spec, device.key, group, mates));
  }
  return blocked;
}

function tornBy(
  world: World,
  spec: ContainerSpec,
  device: DeviceKey,
  group: GroupId,
  mates: readonly PciDevice[],
): Blocker | null {
  const here = world.selection.assigned.get(device);
  for (const mate of mates) {
    const there = world.selection.assigned.get(mate.key);
    if (!there || !here || there.container === spec.name) continue;
    return {
      kind: 'group-torn',
      container: spec.name,
      group,
      device,
      place: here.place,
      other: mate.key,
      otherContainer: there.container,
      otherPlace: there.place,
    };
  }
  return null;
}

function unlistedMates(
  world: World,
  spec: ContainerSpec,
  device: DeviceKey,
  group: GroupId,
  mates: readonly PciDevice[],
): readonly Blocker[] {
  const unlisted = mates.filter((mate) => !world.selection.assigned.has(mate.key));
  const native = unlisted.find((mate) => mate.driver !== null && !isDmaSafeDriver(mate.driver));
  const container = spec.name;
  if (native) {
    const driver = native.driver ?? '';
    return [{ kind: 'group-not-viable', container, device, group, mate: native.key, driver }];
  }
  const held = unlisted.find((mate) => mate.holders.length > 0);
  if (held) {
    return [{ kind: 'group-in-use', container, device: held.key, group, by: held.holders }];
  }
  const dangerous = unlisted.filter((mate) => !isInGrace(world, mate.key));
  if (dangerous.length === 0 || spec.groupMates === 'accept') return [];
  const names = dangerous.map((mate) => mate.key);
  return [{ kind: 'group-mate-unlisted', container, device, group, mates: names }];
}

/** A mate that we hold and that only waits for its removal is as listed as it was before. */
function isInGrace(world: World, mate: DeviceKey): boolean {
  return world.holdings.has(mate) && !world.leaving.has(mate);
}
