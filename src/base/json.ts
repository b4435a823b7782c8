/** Values as JSON: 64-bit values as hex text, maps as lists of their values, keys in a fixed order for digests. */
import { formatHex } from './iova.ts';

/** A value that JSON can carry. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json };

/** The value with bigint as hex text, maps as lists, and undefined fields left out. */
export function toJson(value: unknown): Json {
  if (typeof value === 'bigint') return formatHex(value);
  if (value instanceof Map) return [...value.values()].map(toJson);
  if (Array.isArray(value)) return value.map(toJson);
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value).filter(([, field]) => field !== undefined);
    return Object.fromEntries(fields.map(([name, field]) => [name, toJson(field)]));
  }
  return value as Json;
}

/** The text of a value that is the same for equal values, whatever the order of their keys. */
export function canonicalJson(value: Json): string {
  return JSON.stringify(value, (_key, field: unknown) => {
    if (typeof field !== 'object' || field === null || Array.isArray(field)) return field;
    return Object.fromEntries(Object.entries(field).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
