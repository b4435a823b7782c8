/** eventfd(2): a counter in the kernel that signals, and that poll(2) can wait for. */
import { closeSync, readSync, writeSync } from 'node:fs';
import { type Fd, SyscallError } from '../port.ts';
import { errnoName } from '../uapi/errno.ts';
import { eventfd } from './libc.ts';
import type { Poller } from './poll.ts';

/** include/uapi/linux/eventfd.h (v6.12): EFD_CLOEXEC, EFD_NONBLOCK. */
const FLAGS = 0o2000000 | 0o4000;

/** An eventfd that somebody listens to. */
export interface SignalLine {
  readonly fd: Fd;
  close(): void;
}

/** A new eventfd, closed on exec, that never blocks. Throws SyscallError: EMFILE, ENFILE, ENOMEM. */
export function createEventfd(): Fd {
  const fd = eventfd(FLAGS);
  if (fd < 0) throw new SyscallError('eventfd', errnoName(fd), 'a new counter');
  return fd as Fd;
}

/** Adds one to the counter. A counter that is full is signalled already. */
export function signalEventfd(fd: Fd): void {
  try {
    writeSync(fd, ONE);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
  }
}

/** Takes the counter back to zero and returns what it was. */
export function drainEventfd(fd: Fd): bigint {
  const count = Buffer.alloc(8);
  try {
    readSync(fd, count, 0, 8, null);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
  }
  return count.readBigUInt64LE();
}

/** Opens an eventfd whose signals are heard on the event loop: many at once are one. */
export function openSignalLine(poller: Poller, onSignal: () => void): SignalLine {
  const fd = createEventfd();
  const unwatch = poller.watch(fd, () => {
    drainEventfd(fd);
    onSignal();
    return 'again';
  });
  return {
    fd,
    close() {
      unwatch();
      closeSync(fd);
    },
  };
}

const ONE = Buffer.alloc(8);
ONE.writeBigUInt64LE(1n);
