/**
 * The C functions that Node has no binding for, as far as the port needs them.
 * An ioctl takes exactly three arguments here: koffi makes variadic functions synchronous only.
 */
import koffi from 'koffi';

const libc = koffi.load(null);
const nativeIoctl = libc.func('int ioctl(int fd, unsigned long request, void *arg)');
const nativeClose = libc.func('int close(int fd)');
const nativeExit = libc.func('void _exit(int status)');

/** ioctl(2), now. Returns the value, or the negative errno. */
export function ioctl(fd: number, request: number, bytes: Uint8Array): number {
  const returned = nativeIoctl(fd, request, bytes) as number;
  return returned < 0 ? -koffi.errno() : returned;
}

/** ioctl(2) on the thread pool. Resolves to the value, or the negative errno. */
export function ioctlAsync(fd: number, request: number, bytes: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    nativeIoctl.async(fd, request, bytes, (error: unknown, returned: number) => {
      if (error) reject(error);
      else resolve(returned < 0 ? -koffi.errno() : returned);
    });
  });
}

/** close(2) on the thread pool: closing a bound device resets it. Resolves to 0, or the negative errno. */
export function closeAsync(fd: number): Promise<number> {
  return new Promise((resolve, reject) => {
    nativeClose.async(fd, (error: unknown, returned: number) => {
      if (error) reject(error);
      else resolve(returned < 0 ? -koffi.errno() : returned);
    });
  });
}

/** The address of a buffer's memory, for a pointer inside a struct. Valid while the buffer is referenced. */
export function addressOf(bytes: Uint8Array): bigint {
  return koffi.address(bytes) as bigint;
}

/** Ends the process at once. libuv would wait for calls that are stuck in the kernel. */
export function exitNow(code: number): never {
  nativeExit(code);
  throw new Error('_exit returned');
}
