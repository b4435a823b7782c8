/** Opens the contexts that a Host document says are held, with the ids that it gives. */
import { present } from '../../base/assert.ts';
import type { DevId, DeviceKey, HwptId, IoasId } from '../../base/ids.ts';
import type { HeldContainer, HeldContext, HeldDevice } from '../../graph/types.ts';
import type {
  AttachmentDocument,
  BoundDocument,
  ContextDocument,
  HostDocument,
  LiveContainerDocument,
} from '../../spec/types.generated.ts';
import type { Fd } from '../port.ts';
import { createContext, deviceOf, type Hardware } from './hardware.ts';
import { outside, PAGE_BYTES, reserve } from './ioas.ts';
import {
  type BoundObject,
  type Hwpt,
  type Ioas,
  insert,
  type SimContext,
  type SimDevice,
} from './objects.ts';

/** Where restored files get their numbers, and where they are entered. */
export interface FileTable {
  addContext(context: SimContext): Fd;
  addDevice(device: SimDevice): Fd;
}

/** Restores every context of the document's status; returns the journal's account of them. */
export function restoreContexts(
  host: HostDocument,
  hardware: Hardware,
  files: FileTable,
): readonly HeldContext[] {
  return (host.status?.contexts ?? []).map((document, index) => {
    const context = createContext(index + 1);
    const fd = files.addContext(context);
    const containers: HeldContainer[] = [];
    const devices: HeldDevice[] = [];
    for (const container of document.containers ?? []) {
      const restored = restoreContainer(container, document, { context, hardware, files });
      containers.push(restored.container);
      devices.push(...restored.devices);
    }
    for (const bound of document.bound ?? []) {
      devices.push(restoreDevice(bound, null, { context, hardware, files }));
    }
    return { name: document.name, fd, containers, devices };
  });
}

interface Place {
  readonly context: SimContext;
  readonly hardware: Hardware;
  readonly files: FileTable;
}

function restoreContainer(
  document: LiveContainerDocument,
  _context: ContextDocument,
  place: Place,
): { readonly container: HeldContainer; readonly devices: readonly HeldDevice[] } {
  const allow = (document.allow ?? []).map(({ start, last }) => ({
    start: BigInt(start),
    last: BigInt(last),
  }));
  const ioas: Ioas = insert(place.context, {
    type: 'ioas',
    id: document.ioas,
    context: place.context,
    reserved: [],
    allowed: allow,
    maps: [],
    hugePages: document.hugePages ?? true,
    hwpts: [],
    accesses: new Map(),
  });
  const hwpts = (document.hwpts ?? []).map((each) => {
    const hwpt = restoreHwpt(each, document, ioas, place);
    return {
      id: hwpt.id as HwptId,
      dirtyTracking: each.dirtyTracking,
      nesting: hwpt.nestParent,
      iommu: hwpt.iommu.doc.name,
    };
  });
  const devices = (document.attached ?? []).map((each) => restoreDevice(each, ioas, place));
  const container: HeldContainer = {
    name: document.name,
    ioas: ioas.id as IoasId,
    allow,
    hugePages: ioas.hugePages,
    deletion: document.deletion ?? 'allow',
    hwpts,
  };
  return { container, devices };
}

function restoreHwpt(
  document: NonNullable<LiveContainerDocument['hwpts']>[number],
  container: LiveContainerDocument,
  ioas: Ioas,
  { context, hardware }: Place,
): Hwpt {
  const first = container.attached?.find((each) => each.to === document.id && each.pci);
  const made =
    document.iommu === undefined
      ? first && deviceOf(hardware, keyOf(first)).group?.iommu
      : hardware.iommus.get(document.iommu);
  const iommu = made ?? [...hardware.iommus.values()][0];
  const hwpt: Hwpt = insert(context, {
    type: 'hwpt',
    id: document.id,
    ioas,
    auto: false,
    dirty: document.dirtyTracking !== 'none',
    nestParent: document.nesting ?? false,
    iommu: present(iommu, 'an IOMMU for a HWPT'),
    users: new Set(),
    tracking: document.dirtyTracking === 'active',
    dirtyPages: new Set(),
  });
  ioas.hwpts.push(hwpt);
  reserve(ioas, outside(hwpt.iommu.aperture), hwpt);
  return hwpt;
}

function restoreDevice(
  document: AttachmentDocument | BoundDocument,
  ioas: Ioas | null,
  { context, hardware, files }: Place,
): HeldDevice {
  const device = deviceOf(hardware, keyOf(document));
  const fd = files.addDevice(device);
  const type = device.mdev === null ? 'device' : 'access';
  const object: BoundObject = { type, id: document.devId, device };
  insert(context, object);
  device.bound = { fd, context, object };
  context.bound.add(device);
  if (device.group !== null) device.group.owner = context;
  const pt = 'to' in document ? document.to : null;
  if (pt !== null && ioas !== null) attachRestored(device, pt, ioas);
  return {
    key: device.key,
    fd,
    devId: document.devId as DevId,
    pt: pt as HwptId | IoasId | null,
  };
}

function attachRestored(device: SimDevice, pt: number, ioas: Ioas): void {
  const hwpt = ioas.hwpts.find((each) => each.id === pt);
  const { group } = device;
  if (hwpt === undefined || group === null) {
    ioas.accesses.set(device, PAGE_BYTES);
    device.ioas = ioas;
    return;
  }
  group.hwpt = hwpt;
  group.attached.add(device);
  hwpt.users.add(device);
  const regions = group.reserved.filter((region) => region.type !== 'direct-relaxable');
  reserve(ioas, regions, device);
}

function keyOf(document: AttachmentDocument | BoundDocument): DeviceKey {
  return present(document.pci ?? document.mdev, 'pci or mdev') as DeviceKey;
}
