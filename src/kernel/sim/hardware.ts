/** A Host document as devices, groups and IOMMUs of the model, and its live graph as open contexts. */
import { assert, present } from '../../base/assert.ts';
import { type Bdf, busOf, type DeviceKey } from '../../base/ids.ts';
import type {
  GroupDocument,
  HostDocument,
  IommuDocument,
  MdevDeviceDocument,
  PciDeviceDocument,
} from '../../spec/types.generated.ts';
import type { Uevent } from '../uevent.ts';
import type { SimContext, SimDevice, SimGroup, SimHolder, SimIommu } from './objects.ts';
import { registersOf } from './registers.ts';

/** The hardware of a host, and the processes that hold parts of it. */
export interface Hardware {
  readonly iommus: ReadonlyMap<string, SimIommu>;
  readonly groups: ReadonlyMap<number, SimGroup>;
  readonly devices: Map<DeviceKey, SimDevice>;
  /** Who hears the kernel's uevents. */
  readonly listeners: Set<(uevent: Uevent) => void>;
}

/** Builds the hardware of a Host document. */
export function buildHardware({ spec }: HostDocument): Hardware {
  const iommus = new Map((spec.iommus ?? []).map((doc) => [doc.name, iommuOf(doc)]));
  const groups = new Map((spec.groups ?? []).map((doc) => [doc.id, groupOf(doc, iommus)]));
  const devices = new Map<DeviceKey, SimDevice>();
  for (const doc of spec.devices ?? []) {
    const group = doc.group === undefined ? null : (groups.get(doc.group) ?? null);
    const device = pciDevice(doc, group);
    devices.set(device.key, device);
    group?.members.push(device);
  }
  for (const doc of spec.mdevs ?? []) devices.set(doc.uuid as DeviceKey, mdevDevice(doc));
  for (const { device, group, pid, comm, uid = 0 } of spec.holders ?? []) {
    const holder: SimHolder = { pid, comm, uid };
    if (device !== undefined) devices.get(device as DeviceKey)?.holders.push(holder);
    if (group !== undefined) groups.get(group)?.holders.push(holder);
  }
  return { iommus, groups, devices, listeners: new Set() };
}

function groupOf(doc: GroupDocument, iommus: ReadonlyMap<string, SimIommu>): SimGroup {
  return {
    id: doc.id,
    iommu: doc.iommu === undefined ? null : (iommus.get(doc.iommu) ?? null),
    reserved: (doc.reserved ?? []).map(({ start, last, type }) => ({
      start: BigInt(start),
      last: BigInt(last),
      type,
    })),
    members: [],
    owner: null,
    hwpt: null,
    attached: new Set(),
    holders: [],
  };
}

/** A context without objects. */
export function createContext(serial: number): SimContext {
  return {
    serial,
    objects: new Map(),
    lowestFree: 1,
    files: 1,
    bound: new Set(),
    perProcessAccounting: false,
  };
}

/** A device of the model; one that the document does not have is a bug of the caller. */
export function deviceOf(hardware: Hardware, key: string): SimDevice {
  const device = present(hardware.devices.get(key as DeviceKey), `device ${key}`);
  assert(device.present, `device ${key} is plugged in`);
  return device;
}

function iommuOf(doc: IommuDocument): SimIommu {
  const addressWidth = doc.addressWidth ?? 48;
  return {
    doc,
    addressWidth,
    pageSize: 4096n,
    aperture: { start: 0n, last: (1n << BigInt(addressWidth)) - 1n },
    snoop: doc.snoopControl ?? false,
    dirty: doc.dirtyTracking ?? false,
    nesting: doc.nesting ?? false,
    info: infoOf(doc),
    nestedData: null,
  };
}

/** struct iommu_hw_info_vtd: flags, padding, CAP and ECAP. On 6.12 other drivers tell nothing. */
function infoOf(doc: IommuDocument): SimIommu['info'] {
  const registers = registersOf(doc);
  if (registers.type !== 'intel') return { type: 0, bytes: new Uint8Array(0) };
  const bytes = new Uint8Array(24);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(8, registers.cap, true);
  view.setBigUint64(16, registers.ecap, true);
  return { type: 1, bytes };
}

const NO_STATE = { present: true, leaving: null, request: null, bound: null, ioas: null } as const;

function pciDevice(doc: PciDeviceDocument, group: SimGroup | null): SimDevice {
  const alone = doc.vf !== undefined || doc.rootBus === true;
  return {
    ...NO_STATE,
    key: doc.pci as Bdf,
    pci: doc,
    mdev: null,
    group,
    devSet: alone ? doc.pci : busOf(doc.pci as Bdf),
    driver: doc.driver ?? null,
    driverOverride: doc.driverOverride ?? null,
    cdev: doc.cdev ?? null,
    holders: [],
  };
}

function mdevDevice(doc: MdevDeviceDocument): SimDevice {
  return {
    ...NO_STATE,
    key: doc.uuid as DeviceKey,
    pci: null,
    mdev: doc,
    group: null,
    devSet: doc.uuid,
    driver: doc.driver ?? 'vfio_mdev',
    driverOverride: null,
    cdev: doc.cdev ?? null,
    holders: [],
  };
}
