/**
 * What VFIO and iommufd do with a device: bind, attach, replace, detach, close.
 * Source: drivers/vfio/device_cdev.c, drivers/iommu/iommufd/device.c (v6.12).
 */
import type { IovaRange } from '../../base/iova.ts';
import type { Fd } from '../port.ts';
import { allocateHwpt, fits, leaveHwpt } from './hwpt.ts';
import { moveAccess, PAGE_BYTES, reserve, unreserve } from './ioas.ts';
import {
  type AnyHwpt,
  type BoundObject,
  fail,
  type Hwpt,
  type Ioas,
  insert,
  newId,
  remove,
  type SimContext,
  type SimDevice,
  type SimGroup,
} from './objects.ts';

/** Quirks of a kernel, each with what it models. */
export interface Quirks {
  /** A failed replace inside one IOAS drops the reserved ranges of all attached members. Source: iommufd_device_do_replace, 6.12 to 7.3. */
  readonly failedReplaceDropsReserved: boolean;
  readonly unsafeInterrupts: boolean;
}

/** Drivers that leave a group viable. Source: `driver_managed_dma` in v6.12. */
export function ownsNoDma(driver: string | null): boolean {
  return driver === null || driver === 'pci-stub' || driver === 'pcieport' || isVfio(driver);
}

/** vfio-pci and its variants. */
export function isVfio(driver: string): boolean {
  return /^vfio[-_]pci$|[-_]vfio[-_]pci$/.test(driver);
}

/** Binds a device file to a context; returns the id of the new object. Checks in the kernel's order. */
export function bind(device: SimDevice, fd: Fd, context: SimContext, quirks: Quirks): number {
  const { group } = device;
  if (group !== null && group.holders.length > 0) fail('EBUSY');
  if (device.bound !== null || device.holders.length > 0) fail('EINVAL');
  if (device.mdev === null) claim(device, context, quirks);
  const type = device.mdev === null ? 'device' : 'access';
  const object: BoundObject = { type, id: newId(context), device };
  insert(context, object);
  device.bound = { fd, context, object };
  context.bound.add(device);
  return object.id;
}

function claim(device: SimDevice, context: SimContext, quirks: Quirks): void {
  const group = device.group ?? fail('ENODEV');
  if (group.iommu?.doc.msiIsolated === false && !quirks.unsafeInterrupts) fail('EPERM');
  if (group.owner !== null && group.owner !== context) fail('EPERM');
  const native = group.members.some(
    (mate) => !mate.pci?.class.startsWith('0604') && !ownsNoDma(mate.driver),
  );
  const foreign = group.members.some((mate) => mate !== device && mate.holders.length > 0);
  if (native || foreign) fail('EPERM');
  if (group.reserved.some((region) => region.type === 'direct')) fail('EINVAL');
  group.owner = context;
}

/** Attaches or replaces; returns the page table that the device is on afterwards. */
export function attach(device: SimDevice, ptId: number, quirks: Quirks): number {
  const { context } = device.bound ?? fail('EINVAL');
  const target = context.objects.get(ptId) ?? fail('ENOENT');
  if (device.mdev !== null) {
    return target.type === 'ioas' ? attachAccess(device, target) : fail('ENOENT');
  }
  switch (target.type) {
    case 'ioas':
      return attachAuto(device, target, quirks).id;
    case 'hwpt':
    case 'nested':
      return attachHwpt(device, target, quirks).id;
    case 'device':
    case 'access':
    case 'fault':
    case 'selftest':
      return fail('EINVAL');
  }
}

function attachAccess(device: SimDevice, ioas: Ioas): number {
  moveAccess(device, device.ioas, ioas, PAGE_BYTES);
  device.ioas = ioas;
  return ioas.id;
}

/** An IOAS id: the first automatic page table that fits, else a new one without any property. */
function attachAuto(device: SimDevice, ioas: Ioas, quirks: Quirks): Hwpt {
  for (const hwpt of ioas.hwpts.filter((each) => each.auto)) {
    try {
      return attachHwpt(device, hwpt, quirks);
    } catch (error) {
      if ((error as { errno?: string }).errno !== 'EINVAL') throw error;
    }
  }
  const wish = { dirty: false, nestParent: false, auto: false };
  const hwpt = allocateHwpt(ioas, device.group ?? fail('ENODEV'), wish);
  try {
    attachHwpt(device, hwpt, quirks);
  } catch (error) {
    hwpt.auto = true;
    leaveHwpt(hwpt, device);
    throw error;
  }
  hwpt.auto = true;
  return hwpt;
}

function attachHwpt<T extends AnyHwpt>(device: SimDevice, hwpt: T, quirks: Quirks): T {
  const group = device.group ?? fail('ENODEV');
  if (group.attached.has(device)) return replace(group, hwpt, quirks);
  if (group.hwpt !== null && group.hwpt !== hwpt) fail('EINVAL');
  reserve(hwpt.ioas, reservedOf(group), device);
  if (group.attached.size === 0 && !groupFits(group, hwpt)) {
    unreserve(hwpt.ioas, device);
    fail('EINVAL');
  }
  group.hwpt = hwpt;
  group.attached.add(device);
  hwpt.users.add(device);
  return hwpt;
}

/** One switch for the group: every attached member moves along. */
function replace<T extends AnyHwpt>(group: SimGroup, hwpt: T, quirks: Quirks): T {
  const old = group.hwpt ?? fail('EINVAL');
  if (old === hwpt) return hwpt;
  const members = [...group.attached];
  const crosses = old.ioas !== hwpt.ioas;
  if (crosses) reserveAll(group, hwpt.ioas, members);
  if (!groupFits(group, hwpt)) {
    if (crosses || quirks.failedReplaceDropsReserved) {
      for (const member of members) unreserve(hwpt.ioas, member);
    }
    fail('EINVAL');
  }
  group.hwpt = hwpt;
  for (const member of members) {
    if (crosses) unreserve(old.ioas, member);
    hwpt.users.add(member);
  }
  for (const member of members) leaveHwpt(old, member);
  return hwpt;
}

function reserveAll(group: SimGroup, ioas: Ioas, members: readonly SimDevice[]): void {
  const done: SimDevice[] = [];
  try {
    for (const member of members) {
      reserve(ioas, reservedOf(group), member);
      done.push(member);
    }
  } catch (error) {
    for (const member of done) unreserve(ioas, member);
    throw error;
  }
}

function reservedOf(group: SimGroup): readonly IovaRange[] {
  return group.reserved.filter((region) => region.type !== 'direct-relaxable');
}

function groupFits(group: SimGroup, hwpt: AnyHwpt): boolean {
  return group.iommu !== null && fits(hwpt, group.iommu);
}

/** Detaches; nothing attached is no error. With the last member the group is blocked. */
export function detach(device: SimDevice): void {
  if (device.ioas !== null) {
    device.ioas.accesses.delete(device);
    device.ioas = null;
    return;
  }
  const { group } = device;
  if (group === null || !group.attached.delete(device) || group.hwpt === null) return;
  const { hwpt } = group;
  if (group.attached.size === 0) group.hwpt = null;
  unreserve(hwpt.ioas, device);
  leaveHwpt(hwpt, device);
}

/** Closes a bound device: detach, unbind, and with the group's last member give it back. */
export function unbind(device: SimDevice): void {
  if (device.bound === null) return;
  detach(device);
  const { context, object } = device.bound;
  remove(context, object.id);
  context.bound.delete(device);
  device.bound = null;
  device.request = null;
  const { group, leaving } = device;
  if (group?.members.every((mate) => mate.bound === null)) group.owner = null;
  device.leaving = null;
  leaving?.ended();
}
