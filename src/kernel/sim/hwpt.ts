/**
 * Page tables of the model: allocation, which devices fit, dirty tracking.
 * Source: drivers/iommu/iommufd/hw_pagetable.c and the attach checks of intel, amd and arm-smmu-v3 (v6.12).
 */
import { alignmentOf, dropHwpt, outsideAperture, reserve } from './ioas.ts';
import {
  fail,
  type Hwpt,
  type Ioas,
  insert,
  newId,
  remove,
  type SimDevice,
  type SimGroup,
  type SimIommu,
} from './objects.ts';

/** What a page table is asked to be. */
export interface HwptWish {
  readonly dirty: boolean;
  readonly nestParent: boolean;
  readonly auto: boolean;
}

/** Allocates a page table of an IOAS for a device, with the kernel's refusals. */
export function allocateHwpt(ioas: Ioas, group: SimGroup, wish: HwptWish): Hwpt {
  const iommu = group.iommu ?? fail('ENODEV');
  const flagged = wish.dirty || wish.nestParent;
  if (flagged && !hasUserAlloc(iommu)) fail('EOPNOTSUPP');
  if (wish.dirty && !iommu.dirty) fail('EOPNOTSUPP');
  if (wish.nestParent && !iommu.nesting) fail('EOPNOTSUPP');
  const { context } = ioas;
  const hwpt: Hwpt = {
    type: 'hwpt',
    id: newId(context),
    ioas,
    auto: wish.auto,
    dirty: wish.dirty,
    nestParent: wish.nestParent,
    iommu,
    users: new Set(),
    tracking: false,
    dirtyPages: new Set(),
  };
  reserve(ioas, outsideAperture((1n << BigInt(iommu.addressWidth)) - 1n), hwpt);
  const unaligned = ioas.maps.some(
    (map) => map.start % 4096n !== 0n || (map.last + 1n) % 4096n !== 0n,
  );
  if (alignmentOf(ioas) === 1n && unaligned) {
    ioas.reserved = ioas.reserved.filter((each) => each.owner !== hwpt);
    fail('EADDRINUSE');
  }
  insert(context, hwpt);
  ioas.hwpts.push(hwpt);
  return hwpt;
}

/** Drivers without `domain_alloc_user` take no flags. */
function hasUserAlloc(iommu: SimIommu): boolean {
  return iommu.doc.type === 'intel' || iommu.doc.type === 'amd' || iommu.doc.type === 'arm-smmu-v3';
}

/** Frees a page table that nobody uses. */
export function freeHwpt(hwpt: Hwpt): void {
  dropHwpt(hwpt.ioas, hwpt);
  remove(hwpt.ioas.context, hwpt.id);
}

/** The driver's attach check: does a device behind this IOMMU fit? */
export function fits(hwpt: Hwpt, iommu: SimIommu): boolean {
  const made = hwpt.iommu;
  if (made.doc.type !== iommu.doc.type) return false;
  if (hwpt.dirty && !iommu.dirty) return false;
  switch (iommu.doc.type) {
    case 'intel':
      return (!made.snoop || iommu.snoop) && iommu.addressWidth >= made.addressWidth;
    case 'amd':
      return true;
    case 'arm-smmu-v3':
    case 'virtio':
    case 'other':
      return made === iommu;
  }
}

/** Lets a device go; an automatic page table goes with its last one. */
export function leaveHwpt(hwpt: Hwpt, device: SimDevice): void {
  hwpt.users.delete(device);
  if (hwpt.auto && hwpt.users.size === 0) freeHwpt(hwpt);
}

/** Switches tracking. Switching on clears what was recorded before. */
export function setTracking(hwpt: Hwpt, on: boolean): void {
  if (!hwpt.dirty) fail('EOPNOTSUPP');
  if (on && !hwpt.tracking) hwpt.dirtyPages.clear();
  hwpt.tracking = on;
}

/** A bitmap request: the range, the size of what one bit stands for, in bytes. */
export interface BitmapRequest {
  readonly iova: bigint;
  readonly length: bigint;
  readonly pageSize: bigint;
  readonly clear: boolean;
}

/** Sets the bit of every dirty page in the range; says success also where nothing could be read, as the kernel does. */
export function readDirty(hwpt: Hwpt, request: BitmapRequest, bitmap: Uint8Array): void {
  const { iova, length, pageSize } = request;
  const alignment = alignmentOf(hwpt.ioas);
  const misaligned = (value: bigint): boolean =>
    value % pageSize !== 0n || value % alignment !== 0n;
  if (length === 0n || pageSize === 0n || misaligned(iova) || misaligned(iova + length)) {
    fail('EINVAL');
  }
  if (iova + length - 1n > 0xffff_ffff_ffff_ffffn) fail('EOVERFLOW');
  if (!hwpt.dirty) fail('EOPNOTSUPP');
  if (!hwpt.tracking) return;
  for (const page of [...hwpt.dirtyPages]) {
    const at = page * 4096n;
    if (at < iova || at >= iova + length) continue;
    const bit = Number((at - iova) / pageSize);
    const index = bit >> 3;
    if (index < bitmap.length) bitmap[index] = (bitmap[index] ?? 0) | (1 << (bit & 7));
    if (request.clear) hwpt.dirtyPages.delete(page);
  }
}
