/**
 * One ioctl as the model's kernel sees it: the struct in kernel memory, filled from the caller's
 * buffer by the size rules of both families, and copied back at the end.
 * Source: iommufd_fops_ioctl in drivers/iommu/iommufd/main.c, VFIO's argsz convention (v6.12).
 */
import type { IoctlArg } from '../port.ts';
import { decode, fieldOf, readField, sizeUpTo, viewOf, writeField } from '../struct.ts';
import type { IoctlOp } from '../uapi/op.ts';
import { fail } from './objects.ts';

/** The fields of a request and the way back to the caller. */
export class Frame {
  readonly op: IoctlOp;
  readonly fields: Readonly<Record<string, number | bigint>>;
  readonly #arg: IoctlArg;
  readonly #kernel: Uint8Array;

  constructor(op: IoctlOp, arg: IoctlArg) {
    this.op = op;
    this.#arg = arg;
    this.#kernel = new Uint8Array(op.struct.size);
    const size = this.#checkedSize();
    this.#kernel.set(arg.bytes.subarray(0, Math.min(size, op.struct.size)));
    this.fields = decode(op.struct, this.#kernel);
  }

  /** A field that fits a JavaScript number. */
  number(name: string): number {
    return Number(this.fields[name] ?? 0);
  }

  /** A 64-bit field. */
  wide(name: string): bigint {
    return BigInt(this.fields[name] ?? 0n);
  }

  /** The memory that a user pointer of the struct leads to; null for a null pointer. */
  target(name: string): Uint8Array | null {
    const { offset } = fieldOf(this.op.struct, name);
    return this.#arg.pointers.find((pointer) => pointer.offset === offset)?.target ?? null;
  }

  /** The bytes behind the struct, in the caller's memory. */
  get tail(): Uint8Array {
    return this.#arg.bytes.subarray(this.op.struct.size);
  }

  /** Sets an output field and copies it back, as far as the caller's buffer reaches. */
  set(name: string, value: number | bigint): void {
    const field = fieldOf(this.op.struct, name);
    writeField(viewOf(this.#kernel), field, value);
    const size = this.#size();
    if (field.offset + field.size <= Math.min(size, this.#arg.bytes.length)) {
      writeField(viewOf(this.#arg.bytes), field, value);
    }
  }

  #size(): number {
    const { sizeField, struct } = this.op;
    if (sizeField === null) return 0;
    return Number(readField(viewOf(this.#arg.bytes), fieldOf(struct, sizeField)));
  }

  #checkedSize(): number {
    const { op } = this;
    const { bytes } = this.#arg;
    if (op.sizeField === null) return 0;
    if (bytes.length < 4) fail('EFAULT');
    const size = this.#size();
    if (op.last !== null && size < sizeUpTo(op.struct, op.last)) fail('EINVAL');
    if (op.sizeField === 'argsz') return size;
    if (size > bytes.length) fail('EFAULT');
    if (bytes.subarray(op.struct.size, size).some((byte) => byte !== 0)) fail('E2BIG');
    return size;
  }
}
