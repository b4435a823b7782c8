/**
 * The address space of the model: reservations, the allow list, alignment. Mappings are in mappings.ts.
 * Source: drivers/iommu/iommufd/io_pagetable.c (v6.12).
 */
import { compareRanges, complementOf, type IovaRange, rangesOverlap } from '../../base/iova.ts';
import {
  fail,
  type Hwpt,
  type Ioas,
  insert,
  newId,
  type Pages,
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
    accesses: new Map(),
  });
}

/** The page of the kernel: what an access that pins pages keeps to, and what small pages are. */
export const PAGE_BYTES = 4096n;

/** The alignment that mappings need, in bytes: 1 until something translates or pins. */
export function alignmentOf(ioas: Ioas): bigint {
  const needs = [
    ioas.hugePages ? 1n : PAGE_BYTES,
    ...ioas.hwpts.map(({ iommu }) => iommu.pageSize),
    ...ioas.accesses.values(),
  ];
  return needs.reduce((most, each) => (each > most ? each : most));
}

/** EADDRINUSE where what is mapped does not keep to a new, larger alignment. */
export function checkAlignment(ioas: Ioas, alignment: bigint): void {
  if (alignment <= alignmentOf(ioas)) return;
  const off = (value: bigint): boolean => value % alignment !== 0n;
  if (ioas.maps.some((map) => off(map.start) || off(map.last + 1n) || off(pageOffset(map.pages)))) {
    fail('EADDRINUSE');
  }
}

/** Where in a page the memory begins, in bytes. */
export function pageOffset({ address }: Pages): bigint {
  return (address ?? 0n) % PAGE_BYTES;
}

/** Attaches an access to an IOAS, off the one that it is on. Source: iommufd_access_change_ioas. */
export function moveAccess(access: object, from: Ioas | null, to: Ioas, alignment: bigint): void {
  if (from === to) return;
  checkAlignment(to, alignment);
  to.accesses.set(access, alignment);
  from?.accesses.delete(access);
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
export function outside(aperture: IovaRange): readonly IovaRange[] {
  return complementOf([aperture]);
}

/** Changes the huge-page option. EINVAL once there is both a page table and a mapping. */
export function setHugePages(ioas: Ioas, value: bigint): void {
  if (value !== 0n && value !== 1n) fail('EINVAL');
  if (value === 0n && ioas.hugePages) {
    if (ioas.hwpts.length > 0 && ioas.maps.length > 0) fail('EINVAL');
    checkAlignment(ioas, PAGE_BYTES);
  }
  ioas.hugePages = value === 1n;
}

/** Removes a page table from its IOAS. */
export function dropHwpt(ioas: Ioas, hwpt: Hwpt): void {
  ioas.hwpts.splice(ioas.hwpts.indexOf(hwpt), 1);
  unreserve(ioas, hwpt);
}
