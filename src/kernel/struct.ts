/**
 * C struct layout as a table: offsets, encoding and decoding by the rules of the x86-64, arm64 and
 * riscv64 ABIs (natural alignment, little endian). One declaration gives the wire format, the
 * TypeScript type of the fields, and the record that is compared with a C compiler's answer.
 */
import { assert } from '../base/assert.ts';

/** Integer types of the uapi headers; `ptr` is a `__aligned_u64` that holds a user address. */
export type FieldType = 'u8' | 'u16' | 'u32' | 's32' | 'u64' | 'ptr';

/** One declared field: name as in the header, then its type. */
export type FieldRow = readonly [name: string, type: FieldType];

/** A field with its place in the struct, in bytes. */
export interface Field {
  readonly name: string;
  readonly type: FieldType;
  readonly offset: number;
  readonly size: number;
}

/** A struct with its layout. */
export interface Struct<Rows extends readonly FieldRow[] = readonly FieldRow[]> {
  readonly name: string;
  readonly rows: Rows;
  readonly fields: readonly Field[];
  readonly byName: ReadonlyMap<string, Field>;
  /** sizeof, in bytes. */
  readonly size: number;
}

type ValueOf<T extends FieldType> = T extends 'u64'
  ? bigint
  : T extends 'ptr'
    ? Uint8Array | null
    : number;

/** The fields of a struct as a caller gives them: all optional, absent means zero. */
export type FieldsIn<S extends Struct> = {
  readonly [R in S['rows'][number] as R[0]]?: ValueOf<R[1]>;
};

/** The fields of a struct as the kernel left them. Pointers are not decoded. */
export type FieldsOut<S extends Struct> = {
  readonly [R in S['rows'][number] as R[1] extends 'ptr' ? never : R[0]]: R[1] extends 'u64'
    ? bigint
    : number;
};

const SIZES: Record<FieldType, number> = { u8: 1, u16: 2, u32: 4, s32: 4, u64: 8, ptr: 8 };

/** Declares a struct; offsets follow from the order and the types. */
export function struct<const Rows extends readonly FieldRow[]>(
  name: string,
  rows: Rows,
): Struct<Rows> {
  const fields: Field[] = [];
  let offset = 0;
  let alignment = 1;
  for (const [field, type] of rows) {
    const size = SIZES[type];
    offset = alignUp(offset, size);
    fields.push({ name: field, type, offset, size });
    offset += size;
    alignment = Math.max(alignment, size);
  }
  const byName = new Map(fields.map((field) => [field.name, field]));
  return { name, rows, fields, byName, size: alignUp(offset, alignment) };
}

/** The field of that name; a name that is not there is a bug. */
export function fieldOf(layout: Struct, name: string): Field {
  const field = layout.byName.get(name);
  assert(field, `struct ${layout.name} has a field ${name}`);
  return field;
}

/** The number of bytes up to and with the field: the smallest size that carries it. */
export function sizeUpTo(layout: Struct, name: string): number {
  const field = fieldOf(layout, name);
  return field.offset + field.size;
}

/** A view for `writeField` and `readField`. Making one costs more than a dozen fields, so make one a struct. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Writes one number into a struct. Pointers are the port's to write. */
export function writeField(view: DataView, field: Field, value: number | bigint): void {
  switch (field.type) {
    case 'u8':
      view.setUint8(field.offset, Number(value));
      return;
    case 'u16':
      view.setUint16(field.offset, Number(value), true);
      return;
    case 'u32':
      view.setUint32(field.offset, Number(value), true);
      return;
    case 's32':
      view.setInt32(field.offset, Number(value), true);
      return;
    case 'u64':
    case 'ptr':
      view.setBigUint64(field.offset, BigInt.asUintN(64, BigInt(value)), true);
      return;
  }
}

/** Reads one number out of a struct; what is past the end of a short one reads as zero. */
export function readField(view: DataView, field: Field): number | bigint {
  const wide = field.type === 'u64' || field.type === 'ptr';
  if (field.offset + field.size > view.byteLength) return wide ? 0n : 0;
  switch (field.type) {
    case 'u8':
      return view.getUint8(field.offset);
    case 'u16':
      return view.getUint16(field.offset, true);
    case 'u32':
      return view.getUint32(field.offset, true);
    case 's32':
      return view.getInt32(field.offset, true);
    case 'u64':
    case 'ptr':
      return view.getBigUint64(field.offset, true);
  }
}

/** All fields of a struct but its pointers, as the bytes hold them. */
export function decode<S extends Struct>(layout: S, bytes: Uint8Array): FieldsOut<S> {
  const view = viewOf(bytes);
  const out: Record<string, number | bigint> = {};
  for (const field of layout.fields) {
    if (field.type !== 'ptr') out[field.name] = readField(view, field);
  }
  return out as FieldsOut<S>;
}

function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}
