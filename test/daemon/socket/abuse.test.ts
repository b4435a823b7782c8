/** Clients that harm: each of them with a real socket, while another one is served and the daemon's files are counted. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { seeded } from '../../support/rng.ts';
import {
  ask,
  openFiles,
  raw,
  type Served,
  type ServedOptions,
  serve,
  until,
} from '../../support/socket.ts';

let served: Served;
let files = 0;
let children: ChildProcess[] = [];

beforeEach(async () => {
  // The first use of a socket and a child opens files that stay.
  const warm = await serve();
  await ask(warm.path, 'GET', '/healthz');
  await warm.close();
  files = openFiles();
});

afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  await Promise.all(children.map((child) => new Promise((gone) => child.once('close', gone))));
  children = [];
  await served.close();
  await until(() => openFiles() <= files, `${files} open files, as before`);
});

async function start(options: ServedOptions = {}): Promise<void> {
  served = await serve(options);
  await served.daemon.turn();
}

async function isServed(): Promise<void> {
  const begin = performance.now();
  expect((await ask(served.path, 'GET', '/v1/status')).status).toBe(200);
  expect(performance.now() - begin).toBeLessThan(2000);
}

/** Opens connections in another process; resolves to how many of them were kept. */
async function flood(count: number, uid: string, text: string): Promise<number> {
  const args = ['test/support/many-connections.mjs', served.path, String(count), uid, text];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  const said = await new Promise<string>((resolve) =>
    child.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString())),
  );
  return Number(said);
}

describe('a client that', () => {
  it('opens 1,000 connections keeps its few, and others are served', async () => {
    await start();
    const before = openFiles();
    const kept = await flood(1000, '', '');
    expect(kept).toBeGreaterThan(0);
    expect(kept).toBeLessThanOrEqual(16);
    // Its pipes are ours, too.
    expect(openFiles() - before).toBeLessThanOrEqual(kept + 4);
    await isServed();
  });

  it('forks to get more than its share is still one user', async () => {
    await start({ limits: { connections: 24 } });
    const other = process.getuid?.() === 0 ? '65534' : '';
    if (other !== '') openTo(served.path);
    const kept = [await flood(100, other, ''), await flood(100, other, '')];
    expect(Math.max(...kept)).toBeLessThanOrEqual(16);
    if (other !== '') expect(kept[1]).toBe(0);
    await isServed();
  });

  it('says nothing is dropped in time', async () => {
    await start({ limits: { requestMs: 300 } });
    const silent = await raw(served.path);
    const slow = await raw(served.path, 'GET /v1/status HTTP/1.1\r\nHost: a\r\nX: ');
    const half = await raw(
      served.path,
      'POST /v1/suspend HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{',
    );
    await isServed();
    await Promise.all([silent.ended, slow.ended, half.ended]);
    expect(slow.received()).toContain('408');
    expect(served.daemon.status().daemon.conditions).toContainEqual(
      expect.objectContaining({ type: 'Suspended', status: 'False' }),
    );
  });

  it('sends garbage ends its own connection', async () => {
    await start();
    const random = seeded(5);
    for (let round = 0; round < 200; round += 1) {
      const bytes = Uint8Array.from({ length: 1 + Math.floor(random() * 600) }, () =>
        Math.floor(random() * 256),
      );
      const client = await raw(served.path);
      client.socket.end(bytes);
      await client.ended;
    }
    for (const text of [
      '\0',
      'GET',
      'GET / HTTP/9.9\r\n\r\n',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    ]) {
      const client = await raw(served.path, text);
      client.socket.end();
      await client.ended;
    }
    await isServed();
  });

  it('sends requests without end in one connection gets one answer', async () => {
    await start();
    const client = await raw(served.path, 'GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(1000));
    await client.ended;
    expect(client.received().match(/HTTP\/1\.1 200/g)).toHaveLength(1);
    await isServed();
  });

  it('sends a body without end is cut off', async () => {
    await start();
    const head = 'POST /v1/confirm HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n';
    const client = await raw(served.path, head);
    const chunk = `1000\r\n${'x'.repeat(0x1000)}\r\n`;
    const timer = setInterval(() => client.socket.write(chunk), 1);
    await client.ended;
    clearInterval(timer);
    await isServed();
  });

  it('never reads an answer is dropped', async () => {
    await start({ limits: { stalledMs: 300 } });
    // More than a socket's buffer takes.
    served.metrics.text = async () => 'x'.repeat(8 * 1024 * 1024);
    const client = await raw(served.path);
    client.socket.pause();
    client.socket.write('GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n');
    const before = openFiles();
    await until(() => openFiles() < before, 'the connection is dropped');
    await isServed();
    client.socket.destroy();
  });

  it('never reads its events is dropped once too many lie unread, and takes no memory with it', async () => {
    await start({ limits: { unreadBytes: 10_000 } });
    const listeners = served.daemon.listeners;
    const client = await raw(served.path);
    client.socket.pause();
    client.socket.write('GET /v1/events HTTP/1.1\r\nHost: a\r\n\r\n');
    await until(() => served.daemon.listeners > listeners, 'it listens');
    let sent = 0;
    await until(() => {
      for (let count = 0; count < 100; count += 1) served.daemon.emit('y'.repeat(1000));
      sent += 100;
      return served.daemon.listeners === listeners;
    }, 'it is dropped');
    // The kernel's own buffer and ours: some hundred kilobytes, not megabytes.
    expect(sent).toBeLessThan(3000);
    await isServed();
    client.socket.destroy();
  });

  it('goes away in the middle of a wait is forgotten', async () => {
    await start();
    const listeners = served.daemon.listeners;
    served.daemon.outcomeOf = () => 'pending';
    const target = 'GET /v1/requests/r-1?waitMs=60000 HTTP/1.1\r\nHost: a\r\n\r\n';
    const client = await raw(served.path, target);
    await until(() => served.daemon.listeners > listeners, 'it waits');
    client.socket.destroy();
    await until(() => served.daemon.listeners === listeners, 'it is forgotten');
    await isServed();
  });
});

describe('the end of the daemon', () => {
  it('ends every connection, the streams too', async () => {
    await start();
    const stream = await raw(served.path, 'GET /v1/events HTTP/1.1\r\nHost: a\r\n\r\n');
    await until(() => stream.received().includes('200'), 'the stream');
    await served.socket.close();
    await stream.ended;
    await expect(ask(served.path, 'GET', '/healthz')).rejects.toThrow('ENOENT');
  });
});

/** Lets everybody connect; the socket's own directory stays what it must be. */
function openTo(path: string): void {
  chmodSync(dirname(dirname(path)), 0o755);
  chmodSync(dirname(path), 0o755);
  chmodSync(path, 0o666);
}
