/** What must hold in every graph, live or predicted. A note of severity error is a defect of the engine, or somebody else's hand. */
import type { DeviceKey, GroupId } from '../base/ids.ts';
import { groupOf } from './query.ts';
import type { Context, Graph, ObjectRef } from './types.ts';

/** A broken invariant. */
export interface Note {
  readonly invariant: string;
  readonly text: string;
}

/** Every invariant that the graph breaks. */
export function checkGraph(graph: Graph): readonly Note[] {
  return CHECKS.flatMap((check) => check(graph));
}

type Check = (graph: Graph) => readonly Note[];

/** Every attachment leads to a page table of its container, in its context. */
const attachmentsLead: Check = (graph) =>
  contextsOf(graph).flatMap((context) =>
    [...context.devices.values()].flatMap(({ key, attachment }) => {
      if (attachment === null) return [];
      const container = context.containers.get(attachment.container);
      const found =
        container?.ioas === attachment.pt || container?.hwpts.has(attachment.pt) === true;
      const text = `${key} is on ${attachment.pt}, which ${attachment.container} does not have`;
      return found ? [] : [{ invariant: 'attachments-lead', text }];
    }),
  );

/** A device is held by one context. */
const heldOnce: Check = (graph) => {
  const seen = new Set<string>();
  return contextsOf(graph).flatMap((context) =>
    [...context.devices.keys()].flatMap((name) => {
      const again = seen.has(name);
      seen.add(name);
      return again ? [{ invariant: 'held-once', text: `${name} is held twice` }] : [];
    }),
  );
};

/** Members of an IOMMU group are in one context, and the attached ones on one page table. */
const groupsTogether: Check = (graph) => {
  const places = new Map<GroupId, { contexts: Set<string>; tables: Set<ObjectRef> }>();
  for (const context of contextsOf(graph)) {
    for (const { key, attachment } of context.devices.values()) {
      const device = graph.devices.get(key);
      const group = device ? groupOf(device) : null;
      if (group === null) continue;
      const place = places.get(group) ?? { contexts: new Set(), tables: new Set() };
      places.set(group, place);
      place.contexts.add(context.name);
      if (attachment !== null) place.tables.add(attachment.pt);
    }
  }
  return [...places]
    .filter(([, { contexts, tables }]) => contexts.size > 1 || tables.size > 1)
    .map(([group]) => ({
      invariant: 'groups-together',
      text: `group ${group} is in several contexts or on several page tables`,
    }));
};

/** A HWPT that tracks carries no device whose IOMMU cannot. */
const trackersTrack: Check = (graph) =>
  contextsOf(graph).flatMap((context) =>
    [...context.devices.values()].flatMap(({ key, attachment }) => {
      const hwpt =
        attachment && context.containers.get(attachment.container)?.hwpts.get(attachment.pt);
      const capable = !cannotTrack(graph, key);
      if (!hwpt || hwpt.dirtyTracking === 'none' || capable) return [];
      const text = `${key} cannot track, and its HWPT ${hwpt.ref} does`;
      return [{ invariant: 'trackers-track', text }];
    }),
  );

const CHECKS: readonly Check[] = [attachmentsLead, heldOnce, groupsTogether, trackersTrack];

function contextsOf(graph: Graph): readonly Context[] {
  return [...graph.contexts.values()];
}

function cannotTrack(graph: Graph, key: DeviceKey): boolean {
  const device = graph.devices.get(key);
  if (device?.kind !== 'pci' || device.iommu === null) return false;
  return graph.iommus.get(device.iommu)?.dirtyTracking === 'no';
}
