/**
 * The address space of the model: reservations, the allow list, mappings.
 * Source: drivers/iommu/iommufd/io_pagetable.c (v6.12).
 */
import {
  compareRanges,
  complementOf,
  IOVA_LAST,
  type IovaRange,
  rangeContains,
  rangesOverlap,
} from '../../base/iova.ts';
import {
  fail,
  type Hwpt,
  type Ioas,
  insert,
  type Mapping,
  newId,
  type SimContext,
} from './objects.ts';

/** A new, empty IOAS. */
export function createIoas(context: SimContext): Ioas {
  return insert(context, {
    type: 'ioas',
    id: newId(context),
    context,
    reserved: [],
    allowed: [],
    maps: [],
    hugePages: true,
    hwpts: [],
    accesses: new Set(),
  });
}

/** The alignment that mappings need, in bytes: 1 until something translates or pins. */
export function alignmentOf(ioas: Ioas): bigint {
  const pinned = ioas.hwpts.length > 0 || ioas.accesses.size > 0 || !ioas.hugePages;
  return pinned ? 4096n : 1n;
}

/** What may be mapped: the complement of what is reserved. */
export function usableRanges(ioas: Ioas): readonly IovaRange[] {
  return complementOf(ioas.reserved);
}

/** Reserves ranges for an owner, all or none. EADDRINUSE where a mapping or the allow list is in the way. */
export function reserve(ioas: Ioas, ranges: readonly IovaRange[], owner: object): void {
  for (const range of ranges) {
    const inTheWay = [...ioas.maps, ...ioas.allowed].some((each) => rangesOverlap(each, range));
    if (inTheWay) fail('EADDRINUSE');
  }
  for (const { start, last } of ranges) ioas.reserved.push({ start, last, owner });
}

/** Drops everything that an owner reserved. */
export function unreserve(ioas: Ioas, owner: object): void {
  ioas.reserved = ioas.reserved.filter((each) => each.owner !== owner);
}

/** Replaces the allow list. EINVAL for an empty or overlapping range, EADDRINUSE for a reserved one. */
export function setAllowed(ioas: Ioas, ranges: readonly IovaRange[]): void {
  const sorted = [...ranges].sort(compareRanges);
  sorted.forEach((range, index) => {
    const before = sorted[index - 1];
    if (range.start >= range.last || (before && rangesOverlap(before, range))) fail('EINVAL');
  });
  for (const range of sorted) {
    if (ioas.reserved.some((each) => rangesOverlap(each, range))) fail('EADDRINUSE');
  }
  ioas.allowed = sorted;
}

/** The ranges outside a page table's aperture. */
export function outsideAperture(last: bigint): readonly IovaRange[] {
  return last >= IOVA_LAST ? [] : [{ start: last + 1n, last: IOVA_LAST }];
}

/** A mapping that a caller asks for. `iova` null: the kernel chooses. */
export interface MapRequest {
  readonly iova: bigint | null;
  readonly length: bigint;
  readonly writable: boolean;
}

/** Maps a range and returns where. Checks in the kernel's order. */
export function mapRange(ioas: Ioas, request: MapRequest): bigint {
  const { length, writable } = request;
  if (length === 0n) fail('EINVAL');
  if (length >= IOVA_LAST || (request.iova ?? 0n) >= IOVA_LAST) fail('EOVERFLOW');
  const alignment = alignmentOf(ioas);
  if (length % alignment !== 0n) fail('EINVAL');
  const iova = request.iova ?? findHole(ioas, length, alignment);
  if (iova % alignment !== 0n) fail('EINVAL');
  if (iova + length - 1n > IOVA_LAST) fail('EOVERFLOW');
  const range: Mapping = { start: iova, last: iova + length - 1n, writable };
  if (ioas.reserved.some((each) => rangesOverlap(each, range))) fail('EINVAL');
  if (ioas.maps.some((each) => rangesOverlap(each, range))) fail('EEXIST');
  ioas.maps.push(range);
  ioas.maps.sort(compareRanges);
  return iova;
}

function findHole(ioas: Ioas, length: bigint, alignment: bigint): bigint {
  const allowed = ioas.allowed.length > 0 ? ioas.allowed : [{ start: 0n, last: IOVA_LAST }];
  const page = alignment > 4096n ? alignment : 4096n;
  for (const gap of complementOf([...ioas.reserved, ...ioas.maps])) {
    for (const range of allowed) {
      const from = gap.start > range.start ? gap.start : range.start;
      const last = gap.last < range.last ? gap.last : range.last;
      const iova = ((from + page - 1n) / page) * page;
      if (iova + length - 1n <= last) return iova;
    }
  }
  return fail('ENOSPC');
}

/** Unmaps every mapping in a range and returns the bytes. ENOENT where nothing is, or a mapping sticks out. */
export function unmapRange(ioas: Ioas, iova: bigint, length: bigint): bigint {
  if (length === 0n) fail('EINVAL');
  const all = iova === 0n && length === IOVA_LAST;
  if (!all && iova + length - 1n > IOVA_LAST) fail('EOVERFLOW');
  const range = { start: iova, last: all ? IOVA_LAST : iova + length - 1n };
  const hit = ioas.maps.filter((each) => rangesOverlap(each, range));
  if (hit.length === 0) return all ? 0n : fail('ENOENT');
  if (hit.some((each) => !rangeContains(range, each))) fail('ENOENT');
  ioas.maps = ioas.maps.filter((each) => !hit.includes(each));
  return hit.reduce((sum, each) => sum + each.last - each.start + 1n, 0n);
}

/** Changes the huge-page option. EINVAL once there is both a page table and a mapping. */
export function setHugePages(ioas: Ioas, value: bigint): void {
  if (value !== 0n && value !== 1n) fail('EINVAL');
  if (value === 0n && ioas.hwpts.length > 0 && ioas.maps.length > 0) fail('EINVAL');
  if (
    value === 0n &&
    ioas.maps.some((map) => map.start % 4096n !== 0n || (map.last + 1n) % 4096n !== 0n)
  ) {
    fail('EADDRINUSE');
  }
  ioas.hugePages = value === 1n;
}

/** Removes a page table from its IOAS. */
export function dropHwpt(ioas: Ioas, hwpt: Hwpt): void {
  ioas.hwpts.splice(ioas.hwpts.indexOf(hwpt), 1);
  unreserve(ioas, hwpt);
}
