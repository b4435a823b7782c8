/** The IOVA space that a container wants to keep usable, held against what its devices reserve and its IOMMUs translate. */
import { IOVA_LAST, type IovaRange, rangesOverlap } from '../../base/iova.ts';
import type { Device, Graph } from '../../graph/types.ts';
import type { ContainerSpec } from '../../spec/config.ts';
import type { Blocker } from '../types.ts';
import { iommuOf, type Wanted, type World } from '../world.ts';
import type { Rule } from './rule.ts';

/** Blocks containers whose allow list is cut by a device, or whose page size cannot change while it is in use. */
export const iova: Rule = (world) =>
  world.wanted.flatMap((each) => [...allowConflicts(world.graph, each), ...hugePages(world, each)]);

/** True where the container must be emptied and built anew, and a person confirmed that. */
export function mustRebuild(wanted: Wanted): boolean {
  return (
    wanted.live !== null &&
    wanted.live.hugePages !== wanted.spec.iova.hugePages &&
    wanted.live.hwpts.size > 0
  );
}

function hugePages(world: World, wanted: Wanted): readonly Blocker[] {
  const { name } = wanted.spec;
  if (!mustRebuild(wanted) || world.options.confirmed.includes(name)) return [];
  return [{ kind: 'huge-pages-needs-empty', container: name, devices: wanted.devices.length }];
}

function allowConflicts(graph: Graph, { spec, devices }: Wanted): readonly Blocker[] {
  if (spec.iova.allow.length === 0) return [];
  return devices.flatMap((device) => {
    const blocked = conflictOf(graph, spec, device);
    return blocked === null ? [] : [blocked];
  });
}

function conflictOf(graph: Graph, spec: ContainerSpec, device: Device): Blocker | null {
  for (const { range, what } of unusableFor(graph, device)) {
    const allow = spec.iova.allow.find((each) => rangesOverlap(each, range));
    if (allow === undefined) continue;
    const { name: container } = spec;
    return { kind: 'iova-reserved', container, device: device.key, allow, reserved: range, what };
  }
  return null;
}

function unusableFor(
  graph: Graph,
  device: Device,
): readonly { readonly range: IovaRange; readonly what: string }[] {
  if (device.kind === 'mdev') return [];
  const group = device.group === null ? undefined : graph.groups.get(device.group);
  const regions = (group?.reserved ?? [])
    .filter((region) => region.type === 'msi' || region.type === 'reserved')
    .map((region) => ({ range: region, what: `${region.type} region of group ${group?.id}` }));
  const width = iommuOf(graph, device)?.addressWidth ?? null;
  if (width === null || width >= 64) return regions;
  const beyond = { start: 1n << BigInt(width), last: IOVA_LAST };
  return [...regions, { range: beyond, what: `beyond the ${width}-bit aperture of its IOMMU` }];
}
