/** Arithmetic on inclusive IOVA ranges, as the kernel counts them: `last` belongs to the range. */

/** An inclusive range of I/O virtual addresses, in bytes. */
export interface IovaRange {
  readonly start: bigint;
  readonly last: bigint;
}

/** The last address of the 64-bit IOVA space. */
export const IOVA_LAST = 0xffff_ffff_ffff_ffffn;

/** Orders ranges by start, then by last. */
export function compareRanges(a: IovaRange, b: IovaRange): number {
  if (a.start !== b.start) return a.start < b.start ? -1 : 1;
  if (a.last !== b.last) return a.last < b.last ? -1 : 1;
  return 0;
}

/** True where the two ranges have an address in common. */
export function rangesOverlap(a: IovaRange, b: IovaRange): boolean {
  return a.start <= b.last && b.start <= a.last;
}

/** True where `outer` holds every address of `inner`. */
export function rangeContains(outer: IovaRange, inner: IovaRange): boolean {
  return outer.start <= inner.start && inner.last <= outer.last;
}

/** True where both lists hold the same ranges in the same order. */
export function sameRanges(a: readonly IovaRange[], b: readonly IovaRange[]): boolean {
  return (
    a.length === b.length &&
    a.every((range, index) => range.start === b[index]?.start && range.last === b[index]?.last)
  );
}

/** The gaps that `taken` leaves in 0 to 2^64-1, in ascending order. */
export function complementOf(taken: readonly IovaRange[]): readonly IovaRange[] {
  const gaps: IovaRange[] = [];
  let next = 0n;
  for (const range of [...taken].sort(compareRanges)) {
    if (range.start > next) gaps.push({ start: next, last: range.start - 1n });
    if (range.last >= next) next = range.last + 1n;
  }
  if (next <= IOVA_LAST) gaps.push({ start: next, last: IOVA_LAST });
  return gaps;
}

/** The range as `0x1000000-0x7fffffff`. */
export function formatRange(range: IovaRange): string {
  return `${formatHex(range.start)}-${formatHex(range.last)}`;
}

/** The value as hex with its prefix, in lower case: the form that every JSON output uses. */
export function formatHex(value: bigint): string {
  return `0x${value.toString(16)}`;
}
