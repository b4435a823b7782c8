/** Notes which errno each ioctl gave, so that a table can be held against what really happened. */
import { SyscallError, type Syscalls } from '../../src/kernel/port.ts';
import { opOf } from '../../src/kernel/uapi/index.ts';

/** What was seen, as `IOCTL ERRNO`. */
export class Recorder {
  readonly seen = new Set<string>();

  /** The port, watched. */
  around(syscalls: Syscalls): Syscalls {
    const note = (request: number, error: unknown): unknown => {
      if (error instanceof SyscallError) this.seen.add(`${opOf(request)?.name} ${error.errno}`);
      return error;
    };
    return {
      ...syscalls,
      ioctl: (fd, request, arg) => {
        try {
          return syscalls.ioctl(fd, request, arg);
        } catch (error) {
          throw note(request, error);
        }
      },
      slow: {
        ...syscalls.slow,
        ioctl: async (fd, request, arg) => {
          try {
            return await syscalls.slow.ioctl(fd, request, arg);
          } catch (error) {
            throw note(request, error);
          }
        },
      },
    };
  }
}
