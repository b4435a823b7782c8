/**
 * The daemon as a process that can die: a journal in a file that survives, files that a service
 * manager keeps, and a port that nobody can call any more once the process is gone.
 */
import {
  DurableJournal,
  emptyState,
  type JournalFile,
  replay,
} from '../../src/engine/durable-journal.ts';
import { decodeLog } from '../../src/engine/journal-log.ts';
import type { InheritedFile, Recovery } from '../../src/engine/recover.ts';
import type { FileKeeper } from '../../src/engine/run/context.ts';
import type { Fd, Syscalls } from '../../src/kernel/port.ts';

/** What outlives the process. */
export class Surroundings {
  /** The journal's text. */
  text = '';
  /** Kept files by tag. */
  readonly store = new Map<string, Fd>();

  get kept(): ReadonlySet<Fd> {
    return new Set(this.store.values());
  }

  /** The kept files under their new numbers. */
  renumber(numbers: ReadonlyMap<Fd, Fd>): readonly InheritedFile[] {
    for (const [tag, fd] of this.store) {
      const now = numbers.get(fd);
      if (now === undefined) this.store.delete(tag);
      else this.store.set(tag, now);
    }
    return [...this.store].map(([tag, fd]) => ({ tag, fd }));
  }
}

/** One life of the daemon. */
export class Process {
  readonly journal: DurableJournal;
  readonly keeper: FileKeeper;
  readonly syscalls: Syscalls;
  /** The process ends in the middle of its n-th next write of the journal; 0: not. */
  dieAtAppend = 0;
  /** How much of that write reaches the disk. */
  shareWritten = 0.5;
  #ended = false;

  constructor(around: Surroundings, port: Syscalls, onDeath: () => void) {
    this.journal = new DurableJournal(this.#file(around, onDeath), stateOf(around.text));
    this.syscalls = this.#mortal(port);
    this.keeper = {
      keep: async (fd) => {
        const tag = this.journal.keep(fd);
        // Whoever dies while he writes that down has not sent it.
        if (this.isAlive) around.store.set(tag, fd);
      },
      letGo: async (fd) => {
        const tag = this.journal.tagOf(fd);
        if (tag === null || !this.isAlive) return;
        around.store.delete(tag);
        this.journal.drop(fd);
      },
    };
  }

  get isAlive(): boolean {
    return !this.#ended;
  }

  /** SIGKILL: nothing more is called, nothing more is written. */
  kill(): void {
    this.#ended = true;
  }

  #file(around: Surroundings, onDeath: () => void): JournalFile {
    return {
      append: (text) => {
        if (!this.isAlive) return;
        this.dieAtAppend -= 1;
        if (this.dieAtAppend !== 0) {
          around.text += text;
          return;
        }
        around.text += text.slice(0, Math.floor(text.length * this.shareWritten));
        this.kill();
        onDeath();
      },
      replace: (text) => {
        if (this.isAlive) around.text = text;
      },
    };
  }

  #mortal(port: Syscalls): Syscalls {
    const never = new Promise<never>(() => undefined);
    const gone = (): never => {
      throw new Error('the process is gone');
    };
    const quick =
      <A extends unknown[], R>(call: (...args: A) => R) =>
      (...args: A): R =>
        this.isAlive ? call(...args) : gone();
    const slow =
      <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
      async (...args: A): Promise<R> => {
        if (!this.isAlive) return never;
        const answer = await call(...args);
        return this.isAlive ? answer : never;
      };
    return {
      open: quick(port.open),
      ioctl: quick(port.ioctl),
      readAt: quick(port.readAt),
      writeAt: quick(port.writeAt),
      readText: quick(port.readText),
      readDir: quick(port.readDir),
      readLink: quick(port.readLink),
      realPath: quick(port.realPath),
      stat: quick(port.stat),
      slow: {
        ioctl: slow(port.slow.ioctl),
        close: slow(port.slow.close),
        writeText: slow(port.slow.writeText),
      },
    };
  }
}

function stateOf(text: string): ReturnType<typeof emptyState> {
  const read = decodeLog(text);
  if (read.result === 'empty') return emptyState(null);
  if (read.result === 'refused') throw new Error(`the journal is refused: ${read.reason}`);
  return replay(read.entries);
}

/** What a recovery has to say. Throws where it was refused: nothing here loses or forges a file. */
export function notesOf(recovery: Recovery): readonly string[] {
  if (recovery.result === 'refused') throw new Error(`not recovered: ${recovery.reason}`);
  return recovery.notes;
}
