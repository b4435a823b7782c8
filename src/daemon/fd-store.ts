/**
 * Open files in the service manager's keeping: systemd's file descriptor store. A file is there before
 * anything is done with it, and gone from there before ours is closed; each step is waited for. Not here:
 * what the files are (the journal has their tags).
 */
import type { DurableJournal } from '../engine/durable-journal.ts';
import type { InheritedFile } from '../engine/recover.ts';
import type { FileKeeper } from '../engine/run/context.ts';
import { type Fd, SyscallError } from '../kernel/port.ts';
import type { UnixCalls } from '../kernel/unix-port.ts';
import type { ServiceManager } from './notify.ts';

/** A pipe end that goes to the store after each file: a full store closes what it does not take, and says nothing. */
const ROOM = 'room';

/** Keeps the files of one journal in the store. */
export class StoreKeeper implements FileKeeper {
  readonly #manager: ServiceManager;
  readonly #journal: DurableJournal;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(manager: ServiceManager, journal: DurableJournal) {
    this.#manager = manager;
    this.#journal = journal;
  }

  /** Throws SyscallError: ENOSPC where the store may be full, ETIMEDOUT where the manager does not answer. */
  keep(fd: Fd): Promise<void> {
    return this.#inTurn(async () => {
      // Written first: a file that comes back is always known.
      const tag = this.#journal.keep(fd);
      if (await isStored(this.#manager, tag, fd)) return;
      throw new SyscallError('FDSTORE', 'ENOSPC', `file ${fd}; raise FileDescriptorStoreMax=`);
    });
  }

  async letGo(fd: Fd): Promise<void> {
    const tag = this.#journal.tagOf(fd);
    if (tag === null) return;
    await this.#manager.send(['FDSTOREREMOVE=1', `FDNAME=${tag}`]);
    await this.#manager.barrier();
    this.#journal.drop(fd);
  }

  /** One file at a time, so that one place beyond the files is enough to know. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#tail.then(work);
    this.#tail = mine.catch(() => undefined);
    return mine;
  }
}

/** Does the manager keep files for us at all? Leaves nothing there. */
export async function hasStore(manager: ServiceManager): Promise<boolean> {
  return isStored(manager, null, null);
}

async function isStored(
  manager: ServiceManager,
  tag: string | null,
  fd: Fd | null,
): Promise<boolean> {
  const { calls } = manager;
  const [readEnd, writeEnd] = calls.pipe();
  try {
    try {
      if (tag !== null && fd !== null) await store(manager, tag, fd);
      await store(manager, ROOM, writeEnd);
    } finally {
      calls.close(writeEnd);
    }
    await manager.barrier();
    const hasRoom = !calls.isHungUp(readEnd);
    if (hasRoom) await manager.send(['FDSTOREREMOVE=1', `FDNAME=${ROOM}`]);
    return hasRoom;
  } finally {
    calls.close(readEnd);
  }
}

/** FDPOLL=0: a device that goes away makes its file readable, and the manager would drop it in the middle of our work. */
function store(manager: ServiceManager, tag: string, fd: Fd): Promise<void> {
  return manager.send(['FDSTORE=1', `FDNAME=${tag}`, 'FDPOLL=0'], [fd]);
}

const FIRST_FD = 3;
const TAG = /^f[1-9][0-9]*$/;

/** The files with a tag of ours among those that LISTEN_FDS announces, if they are meant for this pid. All of them get CLOEXEC. */
export function takePassedFiles(
  env: Readonly<Record<string, string | undefined>>,
  pid: number,
  calls: Pick<UnixCalls, 'setCloseOnExec' | 'close'>,
): readonly InheritedFile[] {
  const count = Number(env['LISTEN_FDS'] ?? 0);
  if (env['LISTEN_PID'] !== String(pid) || !Number.isSafeInteger(count)) return [];
  const names = (env['LISTEN_FDNAMES'] ?? '').split(':');
  const files: InheritedFile[] = [];
  for (let at = 0; at < count; at += 1) {
    const file = { tag: names[at] ?? '', fd: (FIRST_FD + at) as Fd };
    calls.setCloseOnExec(file.fd);
    if (TAG.test(file.tag)) files.push(file);
    // A pipe end that somebody left behind who died while he looked for room.
    if (file.tag === ROOM) calls.close(file.fd);
  }
  return files;
}
