/**
 * Page tables of the model: allocation, which devices fit, dirty tracking.
 * Source: drivers/iommu/iommufd/hw_pagetable.c and the attach checks of intel, amd and arm-smmu-v3 (v6.12).
 */
import { IOVA_LAST } from '../../base/iova.ts';
import { alignmentOf, checkAlignment, dropHwpt, outside, reserve, unreserve } from './ioas.ts';
import { mappedFrom } from './mappings.ts';
import {
  type AnyHwpt,
  fail,
  type Hwpt,
  type Ioas,
  insert,
  type NestedHwpt,
  newId,
  remove,
  type SimContext,
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
  checkAlignment(ioas, iommu.pageSize);
  reserve(ioas, outside(iommu.aperture), hwpt);
  if (ioas.maps.some(({ pages }) => pages.address === null)) {
    unreserve(ioas, hwpt);
    fail('EFAULT');
  }
  insert(context, hwpt);
  ioas.hwpts.push(hwpt);
  return hwpt;
}

/** Drivers without `domain_alloc_user` take no flags. */
function hasUserAlloc(iommu: SimIommu): boolean {
  return iommu.doc.type === 'intel' || iommu.doc.type === 'amd' || iommu.doc.type === 'arm-smmu-v3';
}

/** Driver data of a nested HWPT, as a caller gives it. */
export interface UserData {
  readonly type: number;
  readonly lengthBytes: number;
  readonly bytes: Uint8Array | null;
}

/** Allocates a nested HWPT above a paging one. Source: iommufd_hwpt_nested_alloc, iommu_copy_struct_from_user. */
export function allocateNested(
  context: SimContext,
  parent: Hwpt,
  iommu: SimIommu,
  data: UserData,
): NestedHwpt {
  if (data.lengthBytes === 0) fail('EOPNOTSUPP');
  if (parent.auto || !parent.nestParent) fail('EINVAL');
  const format = iommu.nestedData;
  if (format === null || data.type !== format.type) return fail('EOPNOTSUPP');
  if (data.lengthBytes !== format.lengthBytes) fail('EINVAL');
  if (data.bytes === null) fail('EFAULT');
  const nested: NestedHwpt = {
    type: 'nested',
    id: newId(context),
    parent,
    ioas: parent.ioas,
    dirty: false,
    tracking: false,
    iommu,
    users: new Set(),
  };
  parent.users.add(nested);
  return insert(context, nested);
}

/** Frees a page table that nobody uses. */
export function freeHwpt(hwpt: AnyHwpt): void {
  if (hwpt.type === 'nested') hwpt.parent.users.delete(hwpt);
  else dropHwpt(hwpt.ioas, hwpt);
  remove(hwpt.ioas.context, hwpt.id);
}

/** The driver's attach check: does a device behind this IOMMU fit? */
export function fits(hwpt: AnyHwpt, iommu: SimIommu): boolean {
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
export function leaveHwpt(hwpt: AnyHwpt, device: object): void {
  hwpt.users.delete(device);
  if (hwpt.type === 'hwpt' && hwpt.auto && hwpt.users.size === 0) freeHwpt(hwpt);
}

/** Switches tracking. Switching on clears what was recorded before. */
export function setTracking(hwpt: Hwpt, on: boolean): void {
  if (!hwpt.dirty) fail('EOPNOTSUPP');
  if (on) hwpt.dirtyPages.clear();
  hwpt.tracking = on;
}

/** A bitmap request: the range, the size of what one bit stands for, in bytes. */
export interface BitmapRequest {
  readonly iova: bigint;
  readonly length: bigint;
  readonly pageSize: bigint;
  readonly clear: boolean;
}

/**
 * Sets the bit of every dirty page in the range, up to the first hole in the mappings; says success
 * also where nothing could be read, as the kernel does.
 * Source: iommufd_check_iova_range, iommu_read_and_clear_dirty in io_pagetable.c; iova_bitmap_set (v6.12).
 */
export function readDirty(hwpt: Hwpt, request: BitmapRequest, bitmap: Uint8Array): void {
  const last = checkBitmapRange(hwpt, request);
  if (!hwpt.dirty) fail('EOPNOTSUPP');
  if (!hwpt.tracking) return;
  const { iova, pageSize } = request;
  const pageBytes = hwpt.iommu.pageSize;
  const until = mappedFrom(hwpt.ioas, iova, last);
  for (const page of [...hwpt.dirtyPages]) {
    const at = page * pageBytes;
    if (at < iova || at >= until) continue;
    const firstBit = (at - iova) / lowestBit(pageSize);
    const lastBit = (at + pageBytes - 1n - iova) / lowestBit(pageSize);
    for (let bit = Number(firstBit); bit <= Number(lastBit); bit += 1) setBit(bitmap, bit);
    if (request.clear) hwpt.dirtyPages.delete(page);
  }
}

/** The last address of the range. The sums wrap as the kernel's do: a length of zero reaches to the end. */
function checkBitmapRange(hwpt: Hwpt, { iova, length, pageSize }: BitmapRequest): bigint {
  const last = iova + BigInt.asUintN(64, length - 1n);
  if (last > IOVA_LAST) fail('EOVERFLOW');
  const alignment = alignmentOf(hwpt.ioas);
  const misaligned = (to: bigint): boolean => ((iova | (last + 1n)) & (to - 1n)) !== 0n;
  if (misaligned(alignment) || pageSize === 0n || misaligned(pageSize)) fail('EINVAL');
  return last;
}

function lowestBit(value: bigint): bigint {
  return value & -value;
}

function setBit(bitmap: Uint8Array, bit: number): void {
  const index = bit >> 3;
  if (index < bitmap.length) bitmap[index] = (bitmap[index] ?? 0) | (1 << (bit & 7));
}
