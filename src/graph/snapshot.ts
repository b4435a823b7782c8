/** An observation as a Host document, so that the same plan can be made elsewhere. No serial numbers, and no pids unless asked. */
import { busOf } from '../base/ids.ts';
import { formatHex, type IovaRange } from '../base/iova.ts';
import { formatPageSize } from '../spec/page-size.ts';
import type {
  ContextDocument,
  GroupDocument,
  HolderDocument,
  HostDocument,
  IommuDocument,
  LiveContainerDocument,
  MdevDeviceDocument,
  PciDeviceDocument,
  TrackingDocument,
} from '../spec/types.generated.ts';
import type {
  Capability,
  DeviceTracking,
  Group,
  HeldContainer,
  HeldContext,
  HeldDevice,
  Holder,
  Iommu,
  MdevDevice,
  Observation,
  PciDevice,
} from './types.ts';

/** What a snapshot shows of other processes: their pid and name, or only that there is one. */
export interface SnapshotOptions {
  readonly holders: 'named' | 'anonymous';
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** The Host document of an observation. */
export function snapshotHost(observation: Observation, options: SnapshotOptions): HostDocument {
  const { kernel, bootId } = observation;
  const pci = observation.devices.filter((device) => device.kind === 'pci');
  const mdevs = observation.devices.filter((device) => device.kind === 'mdev');
  const document: Mutable<HostDocument> = {
    apiVersion: 'autodomain.dev/v1alpha1',
    kind: 'Host',
    metadata: { name: observation.host },
    spec: {
      ...(bootId === null ? {} : { bootId }),
      kernel: {
        release: kernel.release,
        features: [...kernel.features] as HostDocument['spec']['kernel']['features'],
      },
      iommus: observation.iommus.map(iommuDocument),
      groups: observation.groups.map(groupDocument),
      devices: pci.map(pciDocument),
      mdevs: mdevs.map(mdevDocument),
      holders: holderDocuments(observation, options),
      unreadable: observation.unreadable
        .filter(({ what }) => what.startsWith('/'))
        .map(({ what, errno }) => ({ path: what, errno })),
    },
  };
  if (observation.contexts.length > 0) {
    document.status = { contexts: observation.contexts.map(({ held }) => contextDocument(held)) };
  }
  return document;
}

/** A capability that is not known is left out. */
function known<K extends string>(name: K, value: Capability): { [P in K]?: boolean } {
  if (value === 'unknown') return {};
  return { [name]: value === 'yes' } as { [P in K]?: boolean };
}

function iommuDocument(iommu: Iommu): IommuDocument {
  return {
    name: iommu.name,
    type: iommu.type,
    ...(iommu.addressWidth === null ? {} : { addressWidth: iommu.addressWidth }),
    ...known('coherentWalk', iommu.coherentWalk),
    ...known('snoopControl', iommu.snoopControl),
    ...known('dirtyTracking', iommu.dirtyTracking),
    ...known('nesting', iommu.nesting),
    ...(iommu.pageSizes.length === 0 ? {} : { pageSizes: iommu.pageSizes.map(formatPageSize) }),
    ...known('msiIsolated', iommu.msiIsolated),
  };
}

function groupDocument(group: Group): GroupDocument {
  return {
    id: group.id,
    ...(group.iommu === null ? {} : { iommu: group.iommu }),
    reserved: group.reserved.map((region) => ({ ...rangeDocument(region), type: region.type })),
  };
}

function pciDocument(device: PciDevice): PciDeviceDocument {
  return {
    pci: device.key,
    ...(device.group === null ? {} : { group: device.group }),
    vendor: device.vendor,
    device: device.device,
    class: device.class,
    ...(device.numaNode === null ? {} : { numaNode: device.numaNode }),
    ...(device.vf === null ? {} : { pf: device.vf.pf, vf: device.vf.index }),
    ...(device.driver === null ? {} : { driver: device.driver }),
    ...(device.driverOverride === null ? {} : { driverOverride: device.driverOverride }),
    ...(device.variantDriver === null ? {} : { variantDriver: device.variantDriver }),
    ...(device.cdev === null ? {} : { cdev: device.cdev }),
    ...(device.reset.length === 0 ? {} : { reset: device.reset.join(' ') }),
    ...(device.vf === null && device.devSet !== busOf(device.key) ? { rootBus: true } : {}),
    ...trackingDocument(device.tracking),
  };
}

function mdevDocument(device: MdevDevice): MdevDeviceDocument {
  return {
    uuid: device.key,
    parent: device.parent,
    type: device.type,
    ...(device.driver === null ? {} : { driver: device.driver }),
    ...(device.cdev === null ? {} : { cdev: device.cdev }),
    ...trackingDocument(device.tracking),
  };
}

function trackingDocument({ device, migration }: DeviceTracking): { tracking?: TrackingDocument } {
  if (device === 'unknown' && migration === null) return {};
  return {
    tracking: {
      ...known('device', device),
      ...(migration === null
        ? {}
        : { migration: [...migration] as TrackingDocument['migration'] & object }),
    },
  };
}

function holderDocuments(observation: Observation, { holders }: SnapshotOptions): HolderDocument[] {
  const person = ({ pid, comm, uid }: Holder): Omit<HolderDocument, 'device' | 'group'> =>
    holders === 'anonymous'
      ? { pid: 0, comm: 'unknown' }
      : { pid, comm, ...(uid === null ? {} : { uid }) };
  return [
    ...observation.devices.flatMap((device) =>
      device.holders.map((holder) => ({ device: device.key, ...person(holder) })),
    ),
    ...observation.groupHolders.map(({ group, holder }) => ({ group, ...person(holder) })),
  ];
}

function contextDocument(held: HeldContext): ContextDocument {
  return {
    name: held.name,
    containers: held.containers.map((container) => containerDocument(held, container)),
    bound: held.devices
      .filter((device) => device.pt === null)
      .map((device) => ({ ...nameOf(device), devId: device.devId })),
  };
}

function containerDocument(context: HeldContext, container: HeldContainer): LiveContainerDocument {
  const ids = new Set<number>([container.ioas, ...container.hwpts.map(({ id }) => id)]);
  return {
    name: container.name,
    ioas: container.ioas,
    allow: container.allow.map(rangeDocument),
    hugePages: container.hugePages,
    deletion: container.deletion,
    hwpts: container.hwpts.map(({ id, dirtyTracking, nesting, iommu }) => ({
      id,
      dirtyTracking,
      nesting,
      ...(iommu === null ? {} : { iommu }),
    })),
    attached: context.devices.flatMap((device) =>
      device.pt === null || !ids.has(device.pt)
        ? []
        : [{ ...nameOf(device), devId: device.devId, to: device.pt }],
    ),
  };
}

function nameOf({ key }: HeldDevice): { pci: string } | { mdev: string } {
  return key.includes(':') ? { pci: key } : { mdev: key };
}

function rangeDocument({ start, last }: IovaRange): { start: string; last: string } {
  return { start: formatHex(start), last: formatHex(last) };
}
