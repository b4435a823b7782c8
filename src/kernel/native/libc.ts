/**
 * The C functions that Node has no binding for, as far as the port needs them.
 * An ioctl takes exactly three arguments here: koffi makes variadic functions synchronous only.
 */
import koffi from 'koffi';

const libc = koffi.load(null);
const nativeIoctl = libc.func('int ioctl(int fd, unsigned long request, void *arg)');
const nativeClose = libc.func('int close(int fd)');
const nativeExit = libc.func('void _exit(int status)');
const nativePoll = libc.func('int poll(void *fds, unsigned long count, int timeoutMs)');
const nativeEventfd = libc.func('int eventfd(unsigned int initial, int flags)');
const nativeSyscall = libc.func('long syscall(long number, long first, long second)');
const nativeSocket = libc.func('int socket(int domain, int type, int protocol)');
const nativeBind = libc.func('int bind(int fd, void *address, unsigned int length)');
const nativeSetsockopt = libc.func(
  'int setsockopt(int fd, int level, int option, void *value, unsigned int length)',
);
const nativeRecvfrom = libc.func(
  'long recvfrom(int fd, void *buffer, unsigned long length, int flags, void *from, void *fromLength)',
);

/** ioctl(2), now. Returns the value, or the negative errno. */
export function ioctl(fd: number, request: number, bytes: Uint8Array): number {
  return outcome(nativeIoctl(fd, request, bytes));
}

/** ioctl(2) on the thread pool. Resolves to the value, or the negative errno. */
export function ioctlAsync(fd: number, request: number, bytes: Uint8Array): Promise<number> {
  return onPool((done) => nativeIoctl.async(fd, request, bytes, done));
}

/** close(2) on the thread pool: closing a bound device resets it. Resolves to 0, or the negative errno. */
export function closeAsync(fd: number): Promise<number> {
  return onPool((done) => nativeClose.async(fd, done));
}

/** poll(2) without a timeout, on the thread pool. `fds` is an array of struct pollfd. Resolves to how many are ready, or the negative errno. */
export function pollAsync(fds: Uint8Array, count: number): Promise<number> {
  return onPool((done) => nativePoll.async(fds, count, -1, done));
}

/** eventfd(2). Returns the file, or the negative errno. */
export function eventfd(flags: number): number {
  return outcome(nativeEventfd(0, flags));
}

/** syscall(2) with two numbers, for calls that older C libraries have no function for. Returns the value, or the negative errno. */
export function syscall(number: number, first: number, second: number): number {
  return outcome(nativeSyscall(number, first, second));
}

/** socket(2). Returns the file, or the negative errno. */
export function socket(domain: number, type: number, protocol: number): number {
  return outcome(nativeSocket(domain, type, protocol));
}

/** bind(2). Returns 0, or the negative errno. */
export function bindSocket(fd: number, address: Uint8Array): number {
  return outcome(nativeBind(fd, address, address.length));
}

/** setsockopt(2). Returns 0, or the negative errno. */
export function setSocketOption(
  fd: number,
  level: number,
  option: number,
  value: Uint8Array,
): number {
  return outcome(nativeSetsockopt(fd, level, option, value, value.length));
}

/** recvfrom(2). Fills `buffer` and `from`; returns the length, or the negative errno. */
export function receiveFrom(
  fd: number,
  buffer: Uint8Array,
  flags: number,
  from: Uint8Array,
): number {
  const fromLength = Uint32Array.of(from.length);
  return outcome(nativeRecvfrom(fd, buffer, buffer.length, flags, from, fromLength));
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

type Done = (error: unknown, returned: number) => void;

function onPool(start: (done: Done) => void): Promise<number> {
  return new Promise((resolve, reject) => {
    start((error, returned) => {
      if (error) reject(error);
      else resolve(outcome(returned));
    });
  });
}

/** The C library's -1 with errno, as the kernel's own negative errno. */
function outcome(returned: unknown): number {
  const value = Number(returned);
  return value < 0 ? -koffi.errno() : value;
}
