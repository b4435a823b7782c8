/** The port with a count of every call, by its name and what came back. Not here: what is done with the counts. */
import { type IoctlArg, SyscallError, type Syscalls } from './port.ts';
import { opOf } from './uapi/index.ts';

/** How often one call came back one way. */
export interface CallCount {
  /** The ioctl's name, or the system call's. */
  readonly call: string;
  /** `0` where it succeeded. */
  readonly errno: string;
  readonly count: number;
}

/** Counts of calls; grows by one entry for each pair of call and errno. */
export class CallCounts {
  readonly #counts = new Map<string, Map<string, number>>();

  /** One more. */
  add(call: string, errno: string): void {
    let byErrno = this.#counts.get(call);
    if (byErrno === undefined) {
      byErrno = new Map();
      this.#counts.set(call, byErrno);
    }
    byErrno.set(errno, (byErrno.get(errno) ?? 0) + 1);
  }

  /** All of them, in the order in which they were first seen. */
  list(): readonly CallCount[] {
    return [...this.#counts].flatMap(([call, byErrno]) =>
      [...byErrno].map(([errno, count]) => ({ call, errno, count })),
    );
  }
}

/** Wraps the port: the same calls, each of them counted when it is back. */
export function counted(syscalls: Syscalls, counts: CallCounts): Syscalls {
  const around =
    <A extends readonly unknown[], T>(call: string, work: (...args: A) => T) =>
    (...args: A): T => {
      try {
        const result = work(...args);
        counts.add(call, '0');
        return result;
      } catch (error) {
        counts.add(call, errnoOf(error));
        throw error;
      }
    };
  const aroundSlow = async <T>(call: string, work: () => Promise<T>): Promise<T> => {
    try {
      const result = await work();
      counts.add(call, '0');
      return result;
    } catch (error) {
      counts.add(call, errnoOf(error));
      throw error;
    }
  };
  return {
    open: around('open', (path) => syscalls.open(path)),
    ioctl: (fd, request, arg) => around(nameOf(request), () => syscalls.ioctl(fd, request, arg))(),
    readAt: around('pread', (fd, offset, lengthBytes) => syscalls.readAt(fd, offset, lengthBytes)),
    writeAt: around('pwrite', (fd, offset, bytes) => syscalls.writeAt(fd, offset, bytes)),
    readText: around('read', (path) => syscalls.readText(path)),
    readDir: around('readdir', (path) => syscalls.readDir(path)),
    readLink: around('readlink', (path) => syscalls.readLink(path)),
    realPath: around('realpath', (path) => syscalls.realPath(path)),
    stat: around('stat', (path) => syscalls.stat(path)),
    slow: {
      ioctl: (fd, request, arg: IoctlArg) =>
        aroundSlow(nameOf(request), () => syscalls.slow.ioctl(fd, request, arg)),
      close: (fd) => aroundSlow('close', () => syscalls.slow.close(fd)),
      writeText: (path, text) => aroundSlow('write', () => syscalls.slow.writeText(path, text)),
    },
  };
}

/** Numbers that no table has share one name: a label must not grow with what is asked. */
function nameOf(request: number): string {
  return opOf(request)?.name ?? 'ioctl';
}

function errnoOf(error: unknown): string {
  return error instanceof SyscallError ? error.errno : 'other';
}
