/**
 * Waiting for files: one thread of the pool sleeps in poll(2) over a set of them and is woken by an
 * eventfd when the set changes; what is ready is told on the event loop. While nothing is watched no
 * thread is taken. A sleeping thread would hold up an exit by libuv; the way out is `_exit`
 * (cli/leave.ts), or `close`.
 * Not for VFIO device files: the kernel holds what it polls, and a close that should reset would wait.
 */
import { closeSync } from 'node:fs';
import { assert } from '../../base/assert.ts';
import type { Fd } from '../port.ts';
import { errnoName } from '../uapi/errno.ts';
import { createEventfd, drainEventfd, signalEventfd } from './eventfd.ts';
import { pollAsync } from './libc.ts';

/** What became of a file: it can be read, or nothing more will come (the other end is gone, or it is no open file). */
export type Readiness = 'readable' | 'over';

/** Told when its file is ready. It must read what is there before it says `again`, or it is told at once anew. */
export type ReadyListener = (readiness: Readiness) => 'again' | 'done';

/** More files than one host has devices and consumers; poll(2) itself looks at each of them on every turn. */
const WATCHES_MAX = 8192;
/** The kernel had no memory to poll: it is asked again after this long. */
const RETRY_MS = 1000;

/** struct pollfd of include/uapi/asm-generic/poll.h (v6.12): s32 fd, s16 events, s16 revents. */
const POLLFD_SIZE = 8;
const POLLIN = 1;
/** POLLHUP and POLLNVAL. POLLERR alone is an error to be read, such as the overflow of a socket that goes on. */
const ENDS = 0x10 | 0x20;

interface Watch {
  readonly fd: Fd;
  readonly listener: ReadyListener;
}

/** Watches files for something to read. */
export class Poller {
  readonly #bell = createEventfd();
  /** The identity of a watch, not its number, says whether it still counts: a number is reused at once. */
  readonly #watches = new Set<Watch>();
  #turning: Promise<void> | null = null;
  #state: 'open' | 'closed' = 'open';

  /** Watches a file until the listener says `done`, the file is over, or the returned function is called. The caller closes the file, and not before. */
  watch(fd: Fd, listener: ReadyListener): () => void {
    assert(this.#state === 'open', 'the poller is open');
    assert(this.#watches.size < WATCHES_MAX, `at most ${WATCHES_MAX} files are watched`);
    const watch: Watch = { fd, listener };
    this.#watches.add(watch);
    if (this.#turning === null) this.#turning = this.#turn();
    else signalEventfd(this.#bell);
    return () => {
      if (this.#watches.delete(watch)) signalEventfd(this.#bell);
    };
  }

  /** Ends every watch and gives the thread back. */
  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#watches.clear();
    signalEventfd(this.#bell);
    await this.#turning;
    closeSync(this.#bell);
  }

  async #turn(): Promise<void> {
    while (this.#watches.size > 0) {
      const watches = [...this.#watches];
      const fds = pollfds([this.#bell, ...watches.map(({ fd }) => fd)]);
      const count = await pollAsync(fds, watches.length + 1);
      if (count >= 0) this.#tell(watches, fds);
      else if (errnoName(count) !== 'EINTR') {
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
    this.#turning = null;
  }

  #tell(watches: readonly Watch[], fds: Uint8Array): void {
    const view = new DataView(fds.buffer, fds.byteOffset, fds.byteLength);
    drainEventfd(this.#bell);
    for (const [index, watch] of watches.entries()) {
      const found = view.getInt16((index + 1) * POLLFD_SIZE + 6, true);
      if (found === 0 || !this.#watches.has(watch)) continue;
      const isOver = (found & POLLIN) === 0 && (found & ENDS) !== 0;
      const readiness = isOver ? 'over' : 'readable';
      const answer = watch.listener(readiness);
      if (answer === 'done' || readiness === 'over') this.#watches.delete(watch);
    }
  }
}

function pollfds(files: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(files.length * POLLFD_SIZE);
  const view = new DataView(bytes.buffer);
  for (const [index, fd] of files.entries()) {
    view.setInt32(index * POLLFD_SIZE, fd, true);
    view.setInt16(index * POLLFD_SIZE + 4, POLLIN, true);
  }
  return bytes;
}
