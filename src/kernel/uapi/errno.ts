/**
 * Errno names as the kernel writes them. Node calls 95 `ENOTSUP`; the kernel and every manual of
 * this field say `EOPNOTSUPP`, so the names are ours.
 * Source: include/uapi/asm-generic/errno-base.h and errno.h (v6.12), the same on x86, arm64, riscv.
 */

const NUMBERS = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOTTY: 25,
  EFBIG: 27,
  ENOSPC: 28,
  EROFS: 30,
  EPIPE: 32,
  ERANGE: 34,
  EDEADLK: 35,
  ENAMETOOLONG: 36,
  ENOSYS: 38,
  ELOOP: 40,
  ENODATA: 61,
  EOVERFLOW: 75,
  EBADFD: 77,
  EUSERS: 87,
  EMSGSIZE: 90,
  EOPNOTSUPP: 95,
  EADDRINUSE: 98,
  ECONNRESET: 104,
  ENOBUFS: 105,
  ENOTCONN: 107,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EALREADY: 114,
  EINPROGRESS: 115,
} as const;

/** An errno name this program knows. */
export type ErrnoName = keyof typeof NUMBERS;

const NAMES = new Map<number, string>(
  Object.entries(NUMBERS).map(([name, number]) => [number, name]),
);

/** The name of an errno number, or `E<number>` for one that is not in the table. */
export function errnoName(number: number): string {
  return NAMES.get(Math.abs(number)) ?? `E${Math.abs(number)}`;
}
