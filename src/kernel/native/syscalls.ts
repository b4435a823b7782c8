/** The port over the running kernel. */
import {
  closeSync,
  constants,
  openSync,
  promises,
  readdirSync,
  readlinkSync,
  readSync,
  realpathSync,
  statSync,
} from 'node:fs';
import { type Fd, type FileStat, type IoctlArg, SyscallError, type Syscalls } from '../port.ts';
import { viewOf } from '../struct.ts';
import { errnoName } from '../uapi/errno.ts';
import { addressOf, closeAsync, ioctl, ioctlAsync } from './libc.ts';

/** Where paths begin. */
export interface NativeOptions {
  /** A directory that stands for `/`, such as a copy of a sysfs; as realpath(3) gives it. Default: `/` itself. */
  readonly root?: string;
}

/** The system calls of the kernel that runs. */
export function nativeSyscalls({ root = '' }: NativeOptions = {}): Syscalls {
  return {
    open: (path) => named('open', path, () => openSync(root + path, OPEN_FLAGS) as Fd),
    ioctl: (fd, request, arg) => checked('ioctl', `fd ${fd}`, ioctl(fd, request, linked(arg))),
    readText: (path) => named('read', path, () => readText(root + path)),
    readDir: (path) => named('readdir', path, () => readdirSync(root + path)),
    readLink: (path) => named('readlink', path, () => readlinkSync(root + path)),
    realPath: (path) =>
      named('realpath', path, () => realpathSync.native(root + path).slice(root.length)),
    stat: (path) => named('stat', path, () => statOf(root + path)),
    slow: {
      async ioctl(fd, request, arg) {
        // The call holds the struct; what its pointers lead to must outlive the call as well.
        inFlight.add(arg);
        try {
          return checked('ioctl', `fd ${fd}`, await ioctlAsync(fd, request, linked(arg)));
        } finally {
          inFlight.delete(arg);
        }
      },
      async close(fd) {
        checked('close', `fd ${fd}`, await closeAsync(fd));
      },
      async writeText(path, text) {
        try {
          await promises.writeFile(root + path, text, { flag: constants.O_WRONLY });
        } catch (error) {
          throw translated('write', path, error);
        }
      },
    },
  };
}

/** Requests in the kernel: kept from the collector until they are back. */
const inFlight = new Set<IoctlArg>();

/** libuv adds O_CLOEXEC to every open. */
const OPEN_FLAGS = constants.O_RDWR;

/** Writes the addresses of what the pointers lead to into the struct. */
function linked({ bytes, pointers }: IoctlArg): Uint8Array {
  if (pointers.length === 0) return bytes;
  const view = viewOf(bytes);
  for (const { offset, target } of pointers) view.setBigUint64(offset, addressOf(target), true);
  return bytes;
}

/** sysfs and procfs files are read in one piece into one buffer: half the cost of readFileSync. */
let buffer = Buffer.allocUnsafeSlow(1 << 16);

function readText(path: string): string {
  const fd = openSync(path, constants.O_RDONLY);
  try {
    let length = 0;
    for (;;) {
      const count = readSync(fd, buffer, length, buffer.length - length, null);
      length += count;
      // procfs hands out what it has ready; elsewhere less than was asked for is the end.
      const isEnd = count === 0 || (length < buffer.length && !path.startsWith('/proc/'));
      if (isEnd) return buffer.toString('utf8', 0, length);
      if (length < buffer.length) continue;
      const larger = Buffer.allocUnsafeSlow(buffer.length * 2);
      buffer.copy(larger, 0, 0, length);
      buffer = larger;
    }
  } finally {
    closeSync(fd);
  }
}

function statOf(path: string): FileStat {
  const stat = statSync(path);
  const major = Math.floor(stat.rdev / 256) & 0xfff;
  const minor = (stat.rdev & 0xff) | ((stat.rdev >>> 12) & 0xfff00);
  return { rdev: stat.rdev === 0 ? null : `${major}:${minor}`, uid: stat.uid, inode: stat.ino };
}

function checked(syscall: string, on: string, returned: number): number {
  if (returned < 0) throw new SyscallError(syscall, errnoName(returned), on);
  return returned;
}

function named<T>(syscall: string, path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw translated(syscall, path, error);
  }
}

/** Node's own errors carry the errno as a negative number; our names are the kernel's. */
function translated(syscall: string, path: string, error: unknown): unknown {
  const { errno } = error as NodeJS.ErrnoException;
  return typeof errno === 'number' ? new SyscallError(syscall, errnoName(errno), path) : error;
}
