/**
 * Observation to Graph: facts to conclusions. Pure, total, and the only place where a probe's
 * answer is held against the journal.
 */
import type { DeviceKey, GroupId } from '../base/ids.ts';
import { idRef } from './refs.ts';
import type {
  BoundDevice,
  Context,
  Graph,
  Group,
  HeldContainer,
  HeldContext,
  Holder,
  Iommu,
  LiveContainer,
  Observation,
  ObservedContext,
  ProbedObject,
} from './types.ts';

/** The graph that an observation means. */
export function buildGraph(observation: Observation): Graph {
  return {
    host: observation.host,
    bootId: observation.bootId,
    kernel: observation.kernel,
    iommus: buildIommus(observation),
    groups: buildGroups(observation),
    devices: new Map(observation.devices.map((device) => [device.key, device])),
    contexts: new Map(
      observation.contexts.map((context) => [context.held.name, buildContext(context)]),
    ),
    unreadable: observation.unreadable,
    stuck: observation.stuck,
  };
}

/** IOMMUs with what a bound device's GET_HW_INFO says, which outranks the registers in sysfs. */
function buildIommus(observation: Observation): ReadonlyMap<string, Iommu> {
  const iommus = new Map(observation.iommus.map((iommu) => [iommu.name, iommu]));
  const iommuOf = new Map<DeviceKey, string | null>(
    observation.devices.map((device) => [device.key, device.kind === 'pci' ? device.iommu : null]),
  );
  for (const { hwInfo } of observation.contexts) {
    for (const { key, dirtyTracking } of hwInfo) {
      const iommu = iommus.get(iommuOf.get(key) ?? '');
      if (iommu) iommus.set(iommu.name, { ...iommu, dirtyTracking: dirtyTracking ? 'yes' : 'no' });
    }
  }
  return iommus;
}

function buildGroups(
  observation: Observation,
): ReadonlyMap<GroupId, Group & { holders: readonly Holder[] }> {
  const holders = new Map<GroupId, Holder[]>();
  for (const { group, holder } of observation.groupHolders) {
    holders.set(group, [...(holders.get(group) ?? []), holder]);
  }
  return new Map(
    observation.groups.map((group) => [
      group.id,
      { ...group, holders: holders.get(group.id) ?? [] },
    ]),
  );
}

function buildContext(observed: ObservedContext): Context {
  const { held } = observed;
  return {
    name: held.name,
    containers: new Map(held.containers.map((each) => [each.name, buildContainer(each)])),
    devices: buildDevices(held),
    contradictions: [
      ...(held.doubts ?? []),
      ...observed.probed.filter((probe) => !agrees(probe)).map(formatContradiction),
    ],
  };
}

function buildContainer(held: HeldContainer): LiveContainer {
  return {
    name: held.name,
    ioas: idRef(held.ioas),
    allow: held.allow,
    hugePages: held.hugePages,
    deletion: held.deletion,
    hwpts: new Map(
      held.hwpts.map((hwpt) => {
        const ref = idRef(hwpt.id);
        const { dirtyTracking, nesting, iommu } = hwpt;
        return [ref, { ref, dirtyTracking, nesting, iommu }];
      }),
    ),
  };
}

function buildDevices(held: HeldContext): ReadonlyMap<DeviceKey, BoundDevice> {
  const owner = new Map<number, string>();
  for (const container of held.containers) {
    owner.set(container.ioas, container.name);
    for (const hwpt of container.hwpts) owner.set(hwpt.id, container.name);
  }
  return new Map(
    held.devices.map(({ key, pt }) => {
      const container = pt === null ? undefined : owner.get(pt);
      const attachment =
        pt === null || container === undefined ? null : { container, pt: idRef(pt) };
      return [key, { key, attachment }];
    }),
  );
}

/** An mdev's ACCESS cannot be told from nothing on every kernel, so only another type contradicts it. */
function agrees(probe: ProbedObject): boolean {
  return probe.journaled === 'mdev' ? probe.found === 'untyped' : probe.journaled === probe.found;
}

function formatContradiction(probe: ProbedObject): string {
  return `id ${probe.id} is ${probe.journaled} in the journal and ${probe.found} in the kernel`;
}
