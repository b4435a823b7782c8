/**
 * The one way to make an ioctl: encode by the row, call, decode by the row, and turn a refusal
 * into a KernelError that knows the cause.
 */
import { assert } from '../base/assert.ts';
import { type Fd, type IoctlArg, type IoctlPointer, SyscallError, type Syscalls } from './port.ts';
import { decode, type FieldsIn, type FieldsOut, fieldOf, viewOf, writeField } from './struct.ts';
import type { ErrnoName } from './uapi/errno.ts';
import type { ErrnoCause, IoctlOp } from './uapi/op.ts';

/** What an ioctl gave back: the return value, the fields, and the bytes behind the struct. */
export interface CallResult<O extends IoctlOp> {
  readonly returned: number;
  readonly out: FieldsOut<O['struct']>;
  readonly tail: Uint8Array;
}

/** The kernel refused a call. Carries the row, so that cause and remedy can be said. */
export class KernelError extends Error {
  override readonly name = 'KernelError';
  readonly op: IoctlOp | null;
  readonly errno: string;
  readonly syscall: string;
  /** The struct as the kernel left it, where there is one (IOVA_RANGES fills it along with EMSGSIZE). */
  readonly out: Readonly<Record<string, number | bigint>>;

  constructor(
    op: IoctlOp | null,
    failure: SyscallError,
    out: Readonly<Record<string, number | bigint>> = {},
  ) {
    super(op === null ? failure.message : `${op.name}: ${failure.errno}`, { cause: failure });
    this.op = op;
    this.errno = failure.errno;
    this.syscall = failure.syscall;
    this.out = out;
  }

  /** Why the kernel answers so and what to do, from the row; null where the row does not say. */
  get why(): ErrnoCause | null {
    return this.op?.errnos[this.errno as ErrnoName] ?? COMMON[this.errno] ?? null;
  }
}

const COMMON: Readonly<Record<string, ErrnoCause>> = {
  ENOMEM: { cause: 'the kernel has no memory for it', remedy: 'free memory and try again' },
  ENOTTY: { cause: 'this kernel does not know the ioctl', remedy: 'use a newer kernel' },
  EMFILE: { cause: 'the process has too many open files', remedy: 'raise LimitNOFILE=' },
  ENFILE: { cause: 'the system has too many open files', remedy: 'raise fs.file-max' },
};

/** Makes a quick ioctl. Throws KernelError. */
export function call<O extends IoctlOp>(
  syscalls: Syscalls,
  fd: Fd,
  op: O,
  fields: FieldsIn<O['struct']>,
  tail: Uint8Array = EMPTY,
): CallResult<O> {
  const request = encode(op, fields, tail);
  try {
    return resultOf(op, syscalls.ioctl(fd, op.request, request), request);
  } catch (error) {
    throw kernelError(op, error, request);
  }
}

/** Makes an ioctl that may sleep, on the pool. Throws KernelError. */
export async function callSlow<O extends IoctlOp>(
  syscalls: Syscalls,
  fd: Fd,
  op: O,
  fields: FieldsIn<O['struct']>,
): Promise<CallResult<O>> {
  const request = encode(op, fields, EMPTY);
  try {
    return resultOf(op, await syscalls.slow.ioctl(fd, op.request, request), request);
  } catch (error) {
    throw kernelError(op, error, request);
  }
}

const EMPTY = new Uint8Array(0);

/** The request buffer of a call: the struct, its length filled in, then `tail`. Public for tests. */
export function encode<O extends IoctlOp>(
  op: O,
  fields: FieldsIn<O['struct']>,
  tail: Uint8Array,
): IoctlArg {
  const bytes = new Uint8Array(op.struct.size + tail.length);
  const view = viewOf(bytes);
  const pointers: IoctlPointer[] = [];
  bytes.set(tail, op.struct.size);
  if (op.sizeField !== null) writeField(view, fieldOf(op.struct, op.sizeField), bytes.length);
  for (const [name, value] of Object.entries(fields as Record<string, unknown>)) {
    const field = fieldOf(op.struct, name);
    if (value instanceof Uint8Array) pointers.push({ offset: field.offset, target: value });
    else if (typeof value === 'number' || typeof value === 'bigint') writeField(view, field, value);
    else assert(value === null || value === undefined, `${op.name}.${name} has a value`);
  }
  return { bytes, pointers };
}

function resultOf<O extends IoctlOp>(op: O, returned: number, request: IoctlArg): CallResult<O> {
  return {
    returned,
    out: decode(op.struct, request.bytes) as FieldsOut<O['struct']>,
    tail: request.bytes.subarray(op.struct.size),
  };
}

function kernelError(op: IoctlOp, error: unknown, request: IoctlArg): unknown {
  return error instanceof SyscallError
    ? new KernelError(op, error, decode(op.struct, request.bytes))
    : error;
}
