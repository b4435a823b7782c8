/** Where the socket may be, who can reach it, and what becomes of one that is left over. */
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { gidOfGroup, listenAt } from '../../../src/daemon/socket/listen.ts';
import { peerOf } from '../../../src/kernel/native/peer.ts';
import type { PeerCredentials } from '../../../src/kernel/peer.ts';

let work = '';
let path = '';
let servers: Server[] = [];

beforeEach(() => {
  work = mkdtempSync(join(tmpdir(), 'autodomain-listen-'));
  path = join(work, 'run', 'control.sock');
});

afterEach(async () => {
  await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))));
  servers = [];
  rmSync(work, { recursive: true, force: true });
});

async function listen(more: object = {}, at = path): Promise<Server> {
  const server = createServer();
  await listenAt(server, { path: at, gid: null, lockHeld: true, ...more });
  servers.push(server);
  return server;
}

function modeOf(file: string): number {
  return statSync(file).mode & 0o7777;
}

const isRoot = process.getuid?.() === 0;
const OWN_GID = process.getgid?.() ?? 0;

describe('the socket', () => {
  it('is for its owner and its group, in a directory that they alone can pass', async () => {
    const gid = isRoot ? 4321 : OWN_GID;
    await listen({ gid });
    expect(modeOf(path)).toBe(0o660);
    expect(statSync(path).gid).toBe(gid);
    expect(modeOf(join(work, 'run'))).toBe(0o750);
    expect(statSync(join(work, 'run')).gid).toBe(gid);
  });

  it('leaves the mode of new files as it was', async () => {
    const before = process.umask();
    await listen();
    expect(process.umask()).toBe(before);
  });

  it.each([
    [0o770, 'group'],
    [0o757, 'everybody'],
    [0o777, 'everybody with a sticky bit or without'],
  ])('is not made in a directory of mode %o', async (mode) => {
    mkdirSync(join(work, 'run'));
    chmodSync(join(work, 'run'), mode);
    await expect(listen()).rejects.toMatchObject({
      code: 'daemon-config',
      message: expect.stringContaining('others can write to it') as string,
      remedy: `chmod go-w ${join(work, 'run')}`,
    });
  });

  it('is not made in a directory of another user, or behind a link', async () => {
    mkdirSync(join(work, 'other'));
    symlinkSync(join(work, 'other'), join(work, 'run'));
    await expect(listen()).rejects.toThrow('it is not a directory');
    if (!isRoot) return;
    chownSync(join(work, 'other'), 4321, 0);
    await expect(listen({}, join(work, 'other', 'control.sock'))).rejects.toThrow(
      'uid 4321 owns it',
    );
  });

  it('takes the place of one that is left over, only with the lock', async () => {
    leaveSocket(path);
    await expect(listen({ lockHeld: false })).rejects.toMatchObject({ code: 'locked' });
    await listen();
  });

  it('does not take the place of a file', async () => {
    mkdirSync(join(work, 'run'), { mode: 0o750 });
    writeFileSync(path, 'precious');
    await expect(listen()).rejects.toThrow('a file that is no socket is there');
    expect(statSync(path).size).toBe(8);
  });

  it('says when its path is too long for the kernel', async () => {
    const long = join(work, 'x'.repeat(100), 'control.sock');
    await expect(listen({}, long)).rejects.toThrow('longer than 107 bytes');
  });
});

describe('gidOfGroup', () => {
  it('finds a group, takes a number, and says when there is none', () => {
    expect(gidOfGroup('root')).toBe(0);
    expect(gidOfGroup('4321')).toBe(4321);
    expect(() => gidOfGroup('no-such-group')).toThrow("there is no group 'no-such-group'");
  });
});

describe('peerOf', () => {
  it('is what the kernel says of whoever connected', async () => {
    const server = await listen();
    chmodSync(work, 0o755);
    chmodSync(join(work, 'run'), 0o755);
    chmodSync(path, 0o666);
    const peer = new Promise<PeerCredentials>((resolve) =>
      server.once('connection', (socket) => {
        resolve(peerOf(socket));
        socket.destroy();
      }),
    );
    const uid = isRoot ? 65_534 : (process.getuid?.() ?? 0);
    const gid = isRoot ? 65_533 : OWN_GID;
    const ids = isRoot
      ? `process.setgroups([]); process.setgid(${gid}); process.setuid(${uid});`
      : '';
    const code = `${ids} require('node:net').connect(${JSON.stringify(path)}).on('close', () => 0)`;
    const child = spawn(process.execPath, ['-e', code], { stdio: 'inherit' });
    expect(await peer).toEqual({ pid: child.pid, uid, gid });
    await new Promise((resolve) => child.once('close', resolve));
  });
});

/** A process that is killed leaves its socket. */
function leaveSocket(at: string): void {
  mkdirSync(join(work, 'run'), { mode: 0o750 });
  const code = `require('node:net').createServer().listen(${JSON.stringify(at)}, () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', code]);
  expect(statSync(at).isSocket()).toBe(true);
}
