/**
 * The only seam of the program: the system calls that it makes. `native` answers them with the
 * running kernel, `sim` with a model of one; everything above is the same code for both.
 * Not here: what the calls mean. That is in `uapi/` and `iommufd.ts`, `vfio.ts`, `sysfs.ts`.
 */

/** An open file descriptor. Whoever opened it closes it. */
export type Fd = number & { readonly __id: 'fd' };

/** A request buffer and what its user pointers point to. */
export interface IoctlArg {
  readonly bytes: Uint8Array;
  /** The native port writes the address of `target` into `bytes` at `offset`; the simulator reads and fills `target`. */
  readonly pointers: readonly IoctlPointer[];
}

/** One user pointer of a request: where it stands in the struct, and the memory behind it. */
export interface IoctlPointer {
  readonly offset: number;
  readonly target: Uint8Array;
}

/** What stat(2) says that we use. `rdev` is `major:minor` for a device node, else null. */
export interface FileStat {
  readonly rdev: string | null;
  readonly uid: number;
  /** Of sysfs: another number where a directory went and came back in between. */
  readonly inode: number;
}

/**
 * System calls. Each throws SyscallError with the errno. Quick ones are synchronous; those that
 * can sleep in the kernel (a reset, a pin of pages, an unbind) are under `slow` and never run on
 * the event loop.
 */
export interface Syscalls {
  /** open(2) with O_RDWR and O_CLOEXEC. */
  open(path: string): Fd;
  /** ioctl(2) that does not sleep. Returns what the call returned. */
  ioctl(fd: Fd, request: number, arg: IoctlArg): number;
  /** The whole text of a small file (sysfs, procfs). */
  readText(path: string): string;
  /** The names in a directory, unordered. */
  readDir(path: string): readonly string[];
  /** The target of a symbolic link, as it is stored. */
  readLink(path: string): string;
  /** The path with every link resolved. */
  realPath(path: string): string;
  stat(path: string): FileStat;
  readonly slow: SlowSyscalls;
}

/** The calls that can sleep. They run on a pool, so several proceed at once. */
export interface SlowSyscalls {
  ioctl(fd: Fd, request: number, arg: IoctlArg): Promise<number>;
  close(fd: Fd): Promise<void>;
  /** write(2) of the whole text to an existing file, in one call. */
  writeText(path: string, text: string): Promise<void>;
}

/** A system call that failed. `errno` is our own name of it (`EOPNOTSUPP`, never Node's `ENOTSUP`). */
export class SyscallError extends Error {
  override readonly name = 'SyscallError';
  readonly syscall: string;
  readonly errno: string;

  constructor(syscall: string, errno: string, on: string) {
    super(`${syscall} ${on}: ${errno}`);
    this.syscall = syscall;
    this.errno = errno;
  }
}
