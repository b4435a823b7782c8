/** Files in a service manager's keeping, over a real notify socket: the order, a full store, a manager that does not answer. */
import { mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/cli/system-clock.ts';
import { hasStore, StoreKeeper, takePassedFiles } from '../../src/daemon/fd-store.ts';
import { ServiceManager, watchdogMs } from '../../src/daemon/notify.ts';
import { DurableJournal, emptyState } from '../../src/engine/durable-journal.ts';
import { unixCalls } from '../../src/kernel/native/unix.ts';
import type { Fd } from '../../src/kernel/port.ts';
import { FakeManager } from '../support/service-manager.ts';
import { testClock } from '../support/world.ts';

let work = '';
let fake: FakeManager | null = null;

beforeEach(() => {
  work = mkdtempSync(join(tmpdir(), 'autodomain-store-'));
});

afterEach(() => {
  fake?.close();
  fake = null;
  rmSync(work, { recursive: true, force: true });
});

function start(max: number): {
  fake: FakeManager;
  manager: ServiceManager;
  journal: DurableJournal;
} {
  const made = new FakeManager(join(work, 'notify'), max);
  fake = made;
  const text = { append: () => undefined, replace: () => undefined };
  return {
    fake: made,
    manager: new ServiceManager(unixCalls, systemClock(), made.address),
    journal: new DurableJournal(text, emptyState(null)),
  };
}

const open = (): Fd => openSync('/dev/null', 'r') as Fd;

describe('StoreKeeper', () => {
  it('has a file there before it returns, and gone before it returns', async () => {
    const { fake: store, manager, journal } = start(8);
    const keeper = new StoreKeeper(manager, journal);
    const [a, b] = [open(), open()];
    await Promise.all([keeper.keep(a), keeper.keep(b)]);
    const tags = [journal.tagOf(a), journal.tagOf(b)];
    expect([...store.store.keys()].filter((name) => name !== 'room')).toEqual(tags);
    expect(store.heard[0]).toBe(`FDSTORE=1 FDNAME=${tags[0]} FDPOLL=0`);
    await keeper.letGo(a);
    expect(store.store.has(String(tags[0]))).toBe(false);
    expect(journal.tagOf(a)).toBeNull();
    await keeper.letGo(a);
    unixCalls.close(a);
    unixCalls.close(b);
  });

  it('says ENOSPC where the store is full, which systemd itself does not say', async () => {
    const { manager, journal } = start(2);
    const keeper = new StoreKeeper(manager, journal);
    const [a, b] = [open(), open()];
    await keeper.keep(a);
    await expect(keeper.keep(b)).rejects.toThrow(/ENOSPC/);
    await keeper.letGo(b);
    expect(await hasStore(manager)).toBe(true);
    unixCalls.close(a);
    unixCalls.close(b);
  });

  it('knows a manager without a store', async () => {
    const { manager } = start(0);
    expect(await hasStore(manager)).toBe(false);
  });

  it('gives up on a manager that never answers, with ETIMEDOUT', async () => {
    const { fake: store } = start(8);
    store.goDeaf();
    const manager = new ServiceManager(unixCalls, testClock(), store.address);
    await expect(manager.barrier()).rejects.toThrow('barrier the service manager at');
  });
});

describe('takePassedFiles', () => {
  const calls = { setCloseOnExec: () => undefined, close: () => undefined };
  const env = { LISTEN_FDS: '3', LISTEN_PID: '7', LISTEN_FDNAMES: 'f2:control:room' };

  it('finds kept files among others, and closes what was only looking for room', () => {
    const closed: Fd[] = [];
    const files = takePassedFiles(env, 7, { ...calls, close: (fd) => closed.push(fd) });
    expect(files).toEqual([{ tag: 'f2', fd: 3 }]);
    expect(closed).toEqual([5]);
  });

  it('leaves alone what is meant for another process', () => {
    expect(takePassedFiles(env, 8, calls)).toEqual([]);
    expect(takePassedFiles({}, 8, calls)).toEqual([]);
  });
});

describe('watchdogMs', () => {
  it('is half of what is allowed, for us alone', () => {
    expect(watchdogMs({ WATCHDOG_USEC: '60000000' }, 7)).toBe(30_000);
    expect(watchdogMs({ WATCHDOG_USEC: '60000000', WATCHDOG_PID: '8' }, 7)).toBeNull();
    expect(watchdogMs({}, 7)).toBeNull();
  });
});
