/** The shape of one row of the ioctl tables. The tables are `iommufd.ts` and `vfio.ts`. */
import type { Struct } from '../struct.ts';
import type { ErrnoName } from './errno.ts';

/** Why the kernel gave an errno, and what a person can do about it. */
export interface ErrnoCause {
  readonly cause: string;
  readonly remedy: string;
}

/**
 * One ioctl: everything that the encoder, the trace, the simulator, the errors and the tests need
 * to know of it.
 */
export interface IoctlOp {
  readonly name: string;
  /** The request number, as given to ioctl(2). */
  readonly request: number;
  readonly struct: Struct;
  /** The last field that the kernel demands; a buffer that ends before it is EINVAL. Null: the ioctl takes no struct. */
  readonly last: string | null;
  /** The field that carries the length of the buffer, filled in by `call`. */
  readonly sizeField: 'size' | 'argsz' | null;
  /** True where the kernel may sleep for long (a reset, pinned pages), so it never runs on the event loop. */
  readonly slow: boolean;
  readonly errnos: Readonly<Partial<Record<ErrnoName, ErrnoCause>>>;
}

/** `_IO(';', nr)`: the type byte that iommufd and VFIO share. Generic ioctl encoding: x86, arm64, riscv, s390. */
export function ioNumber(nr: number): number {
  return 0x3b00 | nr;
}

/** A cause with its remedy, for a row. */
export function because(cause: string, remedy: string): ErrnoCause {
  return { cause, remedy };
}
