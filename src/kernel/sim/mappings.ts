/**
 * Mappings of the model: what maps, copies and unmaps do to an IOAS. What is reserved is in ioas.ts.
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
import { alignmentOf, PAGE_BYTES, pageOffset } from './ioas.ts';
import { fail, type Hwpt, type Ioas, type Mapping, type Pages } from './objects.ts';

/** A mapping that a caller asks for. `iova` null: the kernel chooses. */
export interface MapRequest {
  readonly iova: bigint | null;
  /** What is mapped, piece after piece. */
  readonly pages: readonly Pages[];
  readonly writable: boolean;
}

/** Maps pages and returns where. Checks in the kernel's order. Source: iopt_alloc_area_pages, iopt_insert_area. */
export function mapPages(ioas: Ioas, { iova, pages, writable }: MapRequest): bigint {
  const length = pages.reduce((sum, each) => sum + each.length, 0n);
  const alignment = alignmentOf(ioas);
  if (length === 0n || length % alignment !== 0n) fail('EINVAL');
  if (iova !== null) checkFree(ioas, iova, length, alignment);
  const first = iova ?? findHole(ioas, length, pages[0]?.address ?? 0n);
  let start = first;
  const added = pages.map((each): Mapping => {
    if (writable && !each.writable) fail('EPERM');
    if (pageOffset(each) % alignment !== 0n) fail('EINVAL');
    const map = { start, last: start + each.length - 1n, pages: each };
    start += each.length;
    return map;
  });
  if (ioas.hwpts.length > 0 && pages.some(({ address }) => address === null)) fail('EFAULT');
  ioas.maps = [...ioas.maps, ...added].sort(compareRanges);
  return first;
}

function checkFree(ioas: Ioas, iova: bigint, length: bigint, alignment: bigint): void {
  if (iova % alignment !== 0n) fail('EINVAL');
  if (iova + length - 1n > IOVA_LAST) fail('EOVERFLOW');
  const range = { start: iova, last: iova + length - 1n };
  if (ioas.reserved.some((each) => rangesOverlap(each, range))) fail('EINVAL');
  if (ioas.maps.some((each) => rangesOverlap(each, range))) fail('EEXIST');
}

/** What a mapping without a fixed address needs of a place. */
interface PlaceWish {
  readonly length: bigint;
  readonly alignment: bigint;
  readonly offset: bigint;
}

/** The lowest free place that keeps the alignment of the address. Source: iopt_alloc_iova. */
function findHole(ioas: Ioas, length: bigint, address: bigint): bigint {
  if (length >= IOVA_LAST / 2n) fail('EOVERFLOW');
  let alignment = 1n;
  while (alignment < length && (address & alignment) === 0n) alignment <<= 1n;
  if (alignment < alignmentOf(ioas)) fail('EINVAL');
  const wish = { length, alignment, offset: address % PAGE_BYTES };
  const gaps = complementOf([...ioas.reserved, ...ioas.maps]);
  for (const allowed of ioas.allowed.length > 0 ? ioas.allowed : [ANYWHERE]) {
    const start = placeIn(intersection(allowed, ANYWHERE), wish);
    if (start === null) continue;
    for (const gap of gaps) {
      const last = intersection(allowed, ANYWHERE).last;
      const place = placeIn(intersection(gap, { start, last }), wish);
      if (place !== null) return place;
    }
  }
  return fail('ENOSPC');
}

/** The kernel never chooses the first page or the last one. */
const ANYWHERE = { start: PAGE_BYTES, last: IOVA_LAST - PAGE_BYTES };

function placeIn(
  { start, last }: IovaRange,
  { length, alignment, offset }: PlaceWish,
): bigint | null {
  const place = ((start + alignment - 1n) & -alignment) | offset;
  return place + length - 1n <= last ? place : null;
}

function intersection(a: IovaRange, b: IovaRange): IovaRange {
  return {
    start: a.start > b.start ? a.start : b.start,
    last: a.last < b.last ? a.last : b.last,
  };
}

/** The pages behind a range that is mapped without a hole; ENOENT for one that is not. Source: iopt_get_pages. */
export function pagesOf(ioas: Ioas, iova: bigint, length: bigint): readonly Pages[] {
  if (length === 0n) fail('EINVAL');
  const last = iova + length - 1n;
  if (last > IOVA_LAST) fail('EOVERFLOW');
  if (mappedFrom(ioas, iova, last) <= last) fail('ENOENT');
  return ioas.maps
    .filter((map) => rangesOverlap(map, { start: iova, last }))
    .map(({ start, last: end, pages }) => {
      const from = iova > start ? iova : start;
      const to = last < end ? last : end;
      const address = pages.address === null ? null : pages.address + from - start;
      return { length: to - from + 1n, address, writable: pages.writable };
    });
}

/** The first address from `iova` on that is not mapped, at most the one behind `last`. */
export function mappedFrom(ioas: Ioas, iova: bigint, last: bigint): bigint {
  let at = iova;
  for (const map of ioas.maps) {
    if (map.start > at || at > last) break;
    if (map.last >= at) at = map.last + 1n;
  }
  return at > last ? last + 1n : at;
}

/**
 * Unmaps every mapping in a range and returns the bytes. ENOENT where nothing is, or where a mapping
 * sticks out: those before it are gone by then. Source: iopt_unmap_iova_range.
 */
export function unmapRange(ioas: Ioas, iova: bigint, length: bigint): bigint {
  const all = iova === 0n && length === IOVA_LAST;
  if (!all && (iova === IOVA_LAST || length === IOVA_LAST)) fail('EOVERFLOW');
  if (length === 0n) fail('EINVAL');
  if (!all && iova + length - 1n > IOVA_LAST) fail('EOVERFLOW');
  const range = { start: iova, last: all ? IOVA_LAST : iova + length - 1n };
  let bytes = 0n;
  for (const map of ioas.maps.filter((each) => rangesOverlap(each, range))) {
    if (!rangeContains(range, map)) fail('ENOENT');
    ioas.maps = ioas.maps.filter((each) => each !== map);
    for (const hwpt of ioas.hwpts) forgetDirty(hwpt, map);
    bytes += map.last - map.start + 1n;
  }
  return bytes > 0n || all ? bytes : fail('ENOENT');
}

/** What is unmapped is not dirty any more: the bit stood in its page-table entry. */
function forgetDirty(hwpt: Hwpt, map: IovaRange): void {
  for (const page of hwpt.dirtyPages) {
    const start = page * hwpt.iommu.pageSize;
    if (start >= map.start && start <= map.last) hwpt.dirtyPages.delete(page);
  }
}
