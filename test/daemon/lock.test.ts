/** One at a time: the owner is named, SIGKILL frees, nobody takes over a lock that is held, and a directory of others is refused. */
import { spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { takeLock } from '../../src/daemon/lock.ts';
import { openRunDirectory } from '../../src/daemon/run-directory.ts';
import { unixCalls } from '../../src/kernel/native/unix.ts';

const work = mkdtempSync(join(tmpdir(), 'autodomain-lock-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));

const uid = process.getuid?.() ?? 0;
const me = { pid: process.pid, verb: 'watch', paths: ['/etc/a', '/etc/b'] };

/** A process that takes the lock with flock(1) and says so; `-o`: its child does not hold it too. */
function holder(path: string): ReturnType<typeof spawn> {
  return spawn('flock', ['-o', path, 'sh', '-c', 'echo held; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
}

const said = (child: ReturnType<typeof spawn>): Promise<unknown> =>
  new Promise((resolve) => child.stdout?.once('data', resolve));

describe('takeLock', () => {
  it('names pid, verb and paths to whoever comes second', () => {
    const release = takeLock(work, me, unixCalls);
    expect(() => takeLock(work, me, unixCalls)).toThrow(
      `pid ${process.pid} (autodomain watch /etc/a /etc/b) holds this host`,
    );
    release();
    takeLock(work, me, unixCalls)();
  });

  it('does not mind what an earlier owner has left in the file', () => {
    writeFileSync(join(work, 'lock'), JSON.stringify({ ...me, pid: 1, paths: ['x'.repeat(500)] }));
    const release = takeLock(work, me, unixCalls);
    expect(JSON.parse(readFileSync(join(work, 'lock'), 'utf8'))).toEqual(me);
    release();
  });

  it('is free when its holder was killed, and not before', async () => {
    const child = holder(join(work, 'lock'));
    await said(child);
    expect(() => takeLock(work, me, unixCalls)).toThrow('another process, which has not written');
    const ended = new Promise((resolve) => child.once('exit', resolve));
    process.kill(-(child.pid ?? 0), 'SIGKILL');
    await ended;
    takeLock(work, me, unixCalls)();
  });
});

describe('openRunDirectory', () => {
  it('makes a directory that others cannot write to', () => {
    const path = join(work, 'deep', 'run');
    openRunDirectory(path, uid);
    openRunDirectory(path, uid);
  });

  it.each([0o770, 0o707, 0o1777])('refuses mode %o, with the reason', (mode) => {
    const path = join(work, `mode-${mode}`);
    mkdirSync(path);
    chmodSync(path, mode);
    expect(() => openRunDirectory(path, uid)).toThrow(
      `is not safe: ${path} can be written by others (mode 0${mode.toString(8)})`,
    );
  });

  it('refuses one below a directory that others can write to, and one of somebody else', () => {
    const above = join(work, 'above');
    mkdirSync(above);
    chmodSync(above, 0o777);
    expect(() => openRunDirectory(join(above, 'run'), uid)).toThrow(`is not safe: ${above} can be`);
    const own = join(work, 'own');
    mkdirSync(own);
    if (uid === 0) chownSync(own, 12_345, 12_345);
    expect(() => openRunDirectory(own, uid === 0 ? 0 : uid + 1)).toThrow('belongs to user');
  });
});
