/** Waiting for files on the kernel that runs: eventfds, pipes and processes, through one poller. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import {
  createEventfd,
  drainEventfd,
  openSignalLine,
  signalEventfd,
} from '../../src/kernel/native/eventfd.ts';
import { openPidfd, watchExit } from '../../src/kernel/native/pidfd.ts';
import { Poller, type Readiness } from '../../src/kernel/native/poll.ts';
import { unixCalls } from '../../src/kernel/native/unix.ts';
import type { Fd } from '../../src/kernel/port.ts';

let poller = new Poller();

afterEach(async () => {
  await poller.close();
  poller = new Poller();
});

/** Resolves with what the listener was told first. */
function ready(fd: Fd): Promise<Readiness> {
  return new Promise((resolve) => {
    poller.watch(fd, (readiness) => {
      resolve(readiness);
      return 'done';
    });
  });
}

function ended(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.on('close', resolve));
}

describe('a poller', () => {
  it('tells each file that is ready, and only that', async () => {
    const fds = Array.from({ length: 50 }, () => createEventfd());
    const told: number[] = [];
    for (const fd of fds) {
      poller.watch(fd, () => {
        told.push(fd);
        drainEventfd(fd);
        return 'again';
      });
    }
    signalEventfd(fds[7] as Fd);
    await expect.poll(() => told).toEqual([fds[7]]);
    signalEventfd(fds[7] as Fd);
    signalEventfd(fds[31] as Fd);
    await expect.poll(() => told.toSorted((a, b) => a - b)).toEqual([fds[7], fds[7], fds[31]]);
    await poller.close();
    for (const fd of fds) closeSync(fd);
  });

  it('takes files in and out while it sleeps', async () => {
    const [first, second] = [createEventfd(), createEventfd()];
    const told: string[] = [];
    const unwatch = poller.watch(first, () => {
      told.push('first');
      return 'done';
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    unwatch();
    closeSync(first);
    // The number is free: the next file may well get it, and nobody watches that.
    const third = createEventfd();
    signalEventfd(third);
    const late = ready(second);
    signalEventfd(second);
    expect(await late).toBe('readable');
    expect(told).toEqual([]);
    for (const fd of [second, third]) closeSync(fd);
  });

  it('says when nothing more will come: the writer is gone, or it is no open file', async () => {
    const path = join(mkdtempSync(join(tmpdir(), 'fifo-')), 'fifo');
    execFileSync('mkfifo', [path]);
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK) as Fd;
    const writer = openSync(path, constants.O_WRONLY);
    writeSync(writer, 'x');
    expect(await ready(reader)).toBe('readable');
    readSync(reader, Buffer.alloc(1));
    closeSync(writer);
    expect(await ready(reader)).toBe('over');
    closeSync(reader);
    expect(await ready(reader)).toBe('over');
  });

  it('has an error read by whoever listens, because a socket goes on after it', async () => {
    const [reader, writer] = unixCalls.pipe();
    closeSync(reader);
    // The end without a reader says POLLERR and nothing else, as a socket does that has lost a message.
    expect(await ready(writer)).toBe('readable');
    closeSync(writer);
  });

  it('adds signals up', async () => {
    const fd = createEventfd();
    expect(drainEventfd(fd)).toBe(0n);
    signalEventfd(fd);
    signalEventfd(fd);
    expect(await ready(fd)).toBe('readable');
    expect(drainEventfd(fd)).toBe(2n);
    closeSync(fd);
  });

  it('hears a line as often as it is signalled, and not after it is closed', async () => {
    let heard = 0;
    const line = openSignalLine(poller, () => {
      heard += 1;
    });
    signalEventfd(line.fd);
    await expect.poll(() => heard).toBe(1);
    signalEventfd(line.fd);
    await expect.poll(() => heard).toBe(2);
    signalEventfd(line.fd);
    line.close();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(heard).toBe(2);
  });

  it('hears the end of a process that is not its child to reap', async () => {
    const child = spawn('sleep', ['600']);
    let ends = 0;
    watchExit(poller, openPidfd(child.pid ?? 0), () => {
      ends += 1;
    });
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(ends).toBe(0);
    child.kill('SIGKILL');
    await expect.poll(() => ends).toBe(1);
  });

  it('refuses a process that is gone', async () => {
    const child = spawn('true');
    await ended(child);
    expect(() => openPidfd(child.pid ?? 0)).toThrow('pidfd_open pid');
  });

  it('gives its thread back when it is closed, and takes none while nothing is watched', async () => {
    const fd = createEventfd();
    const unwatch = poller.watch(fd, () => 'done');
    unwatch();
    await poller.close();
    await poller.close();
    expect(() => poller.watch(fd, () => 'done')).toThrow('the poller is open');
    closeSync(fd);
  });

  it('does not hold up an exit by _exit while it sleeps', async () => {
    const at = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
    const script = `
      import { Poller } from '${at('src/kernel/native/poll.ts')}';
      import { createEventfd } from '${at('src/kernel/native/eventfd.ts')}';
      import { exitNow } from '${at('src/kernel/native/libc.ts')}';
      new Poller().watch(createEventfd(), () => 'again');
      setTimeout(() => exitNow(7), 50);
    `;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script]);
    expect(await ended(child)).toBe(7);
  });
});
