/** A service manager for tests: a real notify socket behind which files are kept as systemd keeps them. */

import { unixCalls } from '../../src/kernel/native/unix.ts';
import type { Fd } from '../../src/kernel/port.ts';
import { SyscallError } from '../../src/kernel/port.ts';

/** Keeps at most `max` files, and closes what it does not take without a word. */
export class FakeManager {
  readonly address: string;
  /** Kept files by name. */
  readonly store = new Map<string, Fd>();
  /** Every message in order, its lines joined by a blank. */
  readonly heard: string[] = [];
  readonly #socket = unixCalls.socket('datagram');
  readonly #max: number;
  readonly #timer: NodeJS.Timeout;

  constructor(address: string, max: number) {
    this.address = address;
    this.#max = max;
    unixCalls.bind(this.#socket, address);
    this.#timer = setInterval(() => this.#drain(), 1);
  }

  /** From now on it answers nothing. */
  goDeaf(): void {
    clearInterval(this.#timer);
  }

  close(): void {
    this.goDeaf();
    for (const fd of this.store.values()) unixCalls.close(fd);
    unixCalls.close(this.#socket);
  }

  #drain(): void {
    for (;;) {
      try {
        const { bytes, fds } = unixCalls.receiveWithFds(this.#socket);
        this.#take(new TextDecoder().decode(bytes).trim().split('\n'), fds);
      } catch (error) {
        if (error instanceof SyscallError && error.errno === 'EAGAIN') return;
        throw error;
      }
    }
  }

  #take(lines: readonly string[], fds: readonly Fd[]): void {
    this.heard.push(lines.join(' '));
    const name = lines.find((line) => line.startsWith('FDNAME='))?.slice(7) ?? 'stored';
    if (lines.includes('FDSTOREREMOVE=1')) this.#remove(name);
    for (const fd of fds) {
      if (lines.includes('FDSTORE=1') && this.store.size < this.#max) this.store.set(name, fd);
      else unixCalls.close(fd);
    }
  }

  #remove(name: string): void {
    const fd = this.store.get(name);
    if (fd !== undefined) unixCalls.close(fd);
    this.store.delete(name);
  }
}
