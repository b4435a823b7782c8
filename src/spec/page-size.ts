/** Sizes as people write them. */

const UNITS: Readonly<Record<string, bigint>> = {
  KiB: 1n << 10n,
  MiB: 1n << 20n,
  GiB: 1n << 30n,
  TiB: 1n << 40n,
};

/** The bytes of a size such as `2MiB` or `0x1000`; the schema has checked its form. */
export function parsePageSize(text: string): bigint {
  const [, number, unit] = /^([0-9]+)([KMGT]iB)$/.exec(text) ?? [];
  if (number === undefined || unit === undefined) return BigInt(text);
  return BigInt(number) * (UNITS[unit] ?? 1n);
}

/** The size with the largest unit that divides it. */
export function formatPageSize(bytes: bigint): string {
  for (const [unit, size] of Object.entries(UNITS).reverse()) {
    if (bytes >= size && bytes % size === 0n) return `${bytes / size}${unit}`;
  }
  return `0x${bytes.toString(16)}`;
}
