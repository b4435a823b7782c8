/** Reads of sysfs and procfs that keep account of what could not be read: a fact is there, is absent, or is listed as unreadable. */
import type { ReadFailure } from '../graph/types.ts';
import { SyscallError, type Syscalls } from './port.ts';

/** A reader over the port. Absence (ENOENT and its kin) is an answer; every other errno is a failure that is kept. */
export class Reader {
  readonly failures: ReadFailure[] = [];
  readonly #syscalls: Syscalls;

  constructor(syscalls: Syscalls) {
    this.#syscalls = syscalls;
  }

  /** The text of a file without the space around it; null where it is absent or unreadable. */
  text(path: string, about: string | null): string | null {
    return this.#try(path, about, () => this.#syscalls.readText(path).trim());
  }

  /** The names in a directory, sorted; null where it is absent or unreadable. */
  names(path: string, about: string | null): readonly string[] | null {
    return this.#try(path, about, () => [...this.#syscalls.readDir(path)].sort());
  }

  /** The last part of a link's target; null where it is absent or unreadable. */
  linkName(path: string, about: string | null): string | null {
    return this.#try(path, about, () => lastPart(this.#syscalls.readLink(path)));
  }

  /** The whole target of a link; null where it is absent or unreadable. */
  link(path: string, about: string | null): string | null {
    return this.#try(path, about, () => this.#syscalls.readLink(path));
  }

  /** The path with its links resolved; null where it is absent or unreadable. */
  realPath(path: string, about: string | null): string | null {
    return this.#try(path, about, () => this.#syscalls.realPath(path));
  }

  /** The inode of what a path leads to; null where it is absent or unreadable. */
  inode(path: string, about: string | null): number | null {
    return this.#try(path, about, () => this.#syscalls.stat(path).inode);
  }

  #try<T>(what: string, about: string | null, read: () => T): T | null {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      if (!ABSENT.has(error.errno)) this.failures.push({ what, errno: error.errno, about });
      return null;
    }
  }
}

/** ENODEV and ENXIO come from attributes of a device that is going away; ESRCH from a process that has gone. */
const ABSENT = new Set(['ENOENT', 'ENOTDIR', 'ENODEV', 'ENXIO', 'ESRCH']);

/** The part of a path after its last slash. */
export function lastPart(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
