/** A control socket over a fake daemon, in a directory of its own, and raw ways to speak to it. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLog } from '../../src/daemon/log.ts';
import { DaemonMetrics } from '../../src/daemon/metrics.ts';
import type { SocketLimits } from '../../src/daemon/socket/limits.ts';
import { type ControlSocket, serveSocket } from '../../src/daemon/socket/server.ts';
import { peerOf } from '../../src/kernel/native/peer.ts';
import type { PeerCredentials } from '../../src/kernel/peer.ts';
import { FakeDaemon } from './fake-daemon.ts';
import { hostIn } from './world.ts';

/** What a daemon is started with. */
export interface ServedOptions {
  readonly spec?: object;
  readonly limits?: Partial<SocketLimits>;
  /** Who the socket takes every peer for; absent: who the kernel says it is. */
  readonly peer?: Partial<PeerCredentials>;
  readonly simulation?: object;
  /** Where the socket is; absent: in a directory of its own. */
  readonly at?: string;
}

/** A daemon that answers at a socket. */
export interface Served {
  readonly daemon: FakeDaemon;
  readonly metrics: DaemonMetrics;
  readonly socket: ControlSocket;
  readonly path: string;
  /** The directory of its config; `blue.yaml` is in it. */
  readonly config: string;
  /** What its log said. */
  readonly log: () => string;
  write(name: string, spec: object): void;
  close(): Promise<void>;
}

/** Starts one. */
export async function serve(options: ServedOptions = {}): Promise<Served> {
  const work = mkdtempSync(join(tmpdir(), 'autodomain-socket-'));
  const config = join(work, 'config');
  const path = options.at ?? join(work, 'run', 'control.sock');
  const write = (name: string, spec: object): void => {
    const document = {
      apiVersion: 'autodomain.dev/v1alpha1',
      kind: 'Container',
      metadata: { name },
      spec,
    };
    writeFileSync(join(config, `${name}.yaml`), JSON.stringify(document));
  };
  mkdirSync(config);
  write('blue', options.spec ?? { devices: [{ pci: '0000:01:00.0' }] });
  const host = { ...hostIn('test/cases/host.yaml'), simulation: options.simulation ?? {} };
  const daemon = new FakeDaemon(host, [config]);
  const metrics = new DaemonMetrics({ control: daemon });
  let log = '';
  const socket = await serveSocket({
    control: daemon,
    place: { path, gid: null, lockHeld: true },
    metrics: () => metrics.text(),
    peerOf: (connection) => ({ ...peerOf(connection), ...options.peer }),
    ...(options.limits === undefined ? {} : { limits: options.limits }),
    log: openLog({
      level: 'info',
      format: 'text',
      journal: false,
      write: (text) => {
        log += text;
      },
    }),
  });
  return {
    daemon,
    metrics,
    socket,
    path,
    config,
    log: () => log,
    write,
    async close() {
      metrics.close();
      await socket.close();
      rmSync(work, { recursive: true, force: true });
    },
  };
}

/** An answer as it came. */
export interface Answered {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

/** One HTTP request. */
export function ask(
  path: string,
  method: string,
  target: string,
  body: string | object = '',
): Promise<Answered> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const headers = { connection: 'close', 'content-length': Buffer.byteLength(text) };
    request({ socketPath: path, method, path: target, headers }, (response) => {
      let answer = '';
      response.on('data', (chunk: Buffer) => {
        answer += chunk.toString();
      });
      response.on('error', reject);
      response.on('end', () => {
        const type = response.headers['content-type'] ?? '';
        resolve({ status: response.statusCode ?? 0, type, text: answer });
      });
    })
      .on('error', reject)
      .end(text);
  });
}

/** A connection that says what it likes, with all that came back and whether it ended. */
export interface RawClient {
  readonly socket: Socket;
  readonly received: () => string;
  readonly ended: Promise<void>;
}

/** Connects. A refused connection ends at once, which is no error here. */
export async function raw(path: string, text = ''): Promise<RawClient> {
  const socket = connect(path);
  let received = '';
  socket.on('data', (chunk: Buffer) => {
    received += chunk.toString();
  });
  socket.on('error', () => undefined);
  const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  await new Promise<void>((resolve) => {
    socket.once('connect', resolve);
    socket.once('close', () => resolve());
  });
  if (text !== '') socket.write(text);
  return { socket, received: () => received, ended };
}

/** Open file descriptors of this process. */
export function openFiles(): number {
  return readdirSync('/proc/self/fd').length;
}

/** Waits until it holds; fails after ten seconds. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  for (let tries = 0; tries < 1000; tries += 1) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`it never came to be: ${what}`);
}
