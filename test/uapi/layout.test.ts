/** The ioctl tables against what a C compiler says of the kernel's own headers (`npm run layout` makes the record). */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { encode } from '../../src/kernel/call.ts';
import { decode, type FieldsIn, type Struct, sizeUpTo } from '../../src/kernel/struct.ts';
import { ALL_OPS, opOf } from '../../src/kernel/uapi/index.ts';

interface Recorded {
  readonly request: number;
  readonly size: number;
  readonly fields: Readonly<Record<string, readonly [offset: number, size: number]>>;
}

const record = JSON.parse(readFileSync('test/uapi/layout.json', 'utf8')) as {
  readonly structs: Readonly<Record<string, Recorded>>;
};

const ops = Object.values(ALL_OPS);

describe.each(ops)('$name', (op) => {
  it('has the number, the size and the offsets of the header', () => {
    const recorded = record.structs[op.name];
    expect(op.request).toBe(recorded?.request);
    expect(op.struct.size).toBe(recorded?.size);
    const fields = op.struct.fields.map(({ name, offset, size }) => [name, [offset, size]]);
    expect(Object.fromEntries(fields)).toEqual(recorded?.fields);
  });

  it('is found by its number, and its minimum lies within the struct', () => {
    expect(opOf(op.request)?.name).toBe(op.name);
    if (op.last !== null) expect(sizeUpTo(op.struct, op.last)).toBeLessThanOrEqual(op.struct.size);
  });

  it('comes back as it was encoded, its size filled in', () => {
    const values: Record<string, number | bigint> = {};
    op.struct.fields.forEach(({ name, type }, index) => {
      if (type === 'ptr' || name === op.sizeField) return;
      values[name] = type === 'u64' ? (1n << 63n) + BigInt(index) : index + 1;
    });
    const { bytes } = encode(op, values as FieldsIn<Struct>, new Uint8Array(0));
    const size = op.sizeField === null ? {} : { [op.sizeField]: op.struct.size };
    expect(decode(op.struct as Struct, bytes)).toEqual({ ...values, ...size });
  });

  it('says cause and remedy of every errno that it lists', () => {
    for (const { cause, remedy } of Object.values(op.errnos)) {
      expect(cause).not.toBe('');
      expect(remedy).not.toBe('');
    }
  });
});
