/** What an operator should know of a plan although nothing is wrong: splits, waits, and facts that are missing. */
import { endpointsOf, groupOf } from '../graph/query.ts';
import { fitOf } from './compatible.ts';
import { countOf, listOf } from './text.ts';
import type { PlanNote } from './types.ts';
import { iommuOf, type Wanted, type World } from './world.ts';

/** The notes of every container that nothing blocks. */
export function notesOf(world: World, isOpen: (container: string) => boolean): readonly PlanNote[] {
  const notes = world.wanted
    .filter(({ spec }) => isOpen(spec.name))
    .flatMap((wanted) => [...splitNote(world, wanted), ...acceptedMates(world, wanted)]);
  const waits = world.waiting.map((container) => ({
    container,
    text: 'a removal waits for its grace to end',
  }));
  return [...notes, ...waits, ...goingNotes(world)];
}

/** `preferred` with both kinds of device: who is tracked and who is not. */
function splitNote(world: World, { spec, devices }: Wanted): readonly PlanNote[] {
  if (spec.dirtyTracking.mode !== 'preferred') return [];
  const untracked = devices.filter((device) => {
    const iommu = iommuOf(world.graph, device);
    return iommu === null || fitOf(iommu, true, iommu) === 'no' || iommu.dirtyTracking !== 'yes';
  });
  if (untracked.length === 0) return [];
  const tracked = devices.length - untracked.length;
  const names = listOf(untracked.map(({ key }) => key));
  const verb = untracked.length === 1 ? 'is' : 'are';
  return [
    {
      container: spec.name,
      text: `dirty tracking is preferred: ${countOf(tracked, 'device')} will be tracked, ${names} ${verb} not`,
    },
  ];
}

/** Members of a group that nobody listed and that the config accepts by name of the risk. */
function acceptedMates(world: World, { spec, devices }: Wanted): readonly PlanNote[] {
  if (spec.groupMates !== 'accept') return [];
  const groups = new Set(devices.map(groupOf));
  const mates = [...groups].flatMap((group) =>
    group === null ? [] : endpointsOf(world.graph, group).map(({ key }) => key),
  );
  const unlisted = mates.filter((key) => !world.selection.assigned.has(key));
  if (unlisted.length === 0) return [];
  const text = `${listOf(unlisted)} could do DMA through it: groupMates is accept`;
  return [{ container: spec.name, text }];
}

/** Devices whose removal somebody asked for, which the kernel holds up until we let go. */
function goingNotes(world: World): readonly PlanNote[] {
  return [...world.selection.going].flatMap((key) => {
    const container = world.holdings.get(key)?.device.attachment?.container;
    const text = `${key} is being removed from the host: it is let go, so that the removal can end`;
    return container === undefined ? [] : [{ container, text }];
  });
}
