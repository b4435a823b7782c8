/**
 * The hand-over socket: a consumer asks for a container in one line and gets its files. Anybody may
 * connect; the kernel says who it is, and the config whether it may. The connection stays open, so that
 * the consumer can be asked to let a device go. Nothing that a client sends does more than end its own
 * connection.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { formatErrorChain } from '../../base/errors.ts';
import type { PeerCredentials } from '../../kernel/peer.ts';
import type { Fd } from '../../kernel/port.ts';
import { listenAt } from '../socket/listen.ts';
import type { Consumers, Handed } from './consumers.ts';
import { LINE_BYTES_MAX, type Refusal, readRequest, refusal, releaseRequest } from './protocol.ts';

/** What the socket works with. */
export interface HandOverOptions {
  readonly path: string;
  readonly consumers: Pick<Consumers, 'handOver'>;
  /** Asks the kernel who is connected; throws where it cannot say. */
  peerOf(socket: Socket): PeerCredentials;
  /** Sends bytes with files over a connected socket; returns the bytes that went. Throws SyscallError. */
  sendWithFds(socket: Socket, bytes: Uint8Array, fds: readonly Fd[]): number;
  readonly limits?: Partial<HandOverLimits>;
}

/** Bounds on clients. */
export interface HandOverLimits {
  readonly connections: number;
  readonly connectionsPerUser: number;
  /** A client that has not asked by then is let go. */
  readonly requestMs: number;
}

const DEFAULT_LIMITS: HandOverLimits = {
  connections: 256,
  connectionsPerUser: 64,
  requestMs: 5000,
};

/** A hand-over socket that listens. */
export class HandOverSocket {
  readonly #options: HandOverOptions;
  readonly #limits: HandOverLimits;
  readonly #server: Server;
  readonly #users = new Map<Socket, number>();
  /** Connections that have something, by container. */
  readonly #served = new Map<Socket, string>();

  constructor(options: HandOverOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#server = createServer((socket) => this.#admit(socket));
  }

  /** Starts to listen; see `listenAt` for what it throws. */
  async listen(): Promise<void> {
    const { path } = this.#options;
    await listenAt(this.#server, { path, gid: null, lockHeld: true, reach: 'everybody' });
  }

  /** Asks whoever has the container to let a device go. False: nobody is connected any more. */
  askForRelease(container: string, key: string): boolean {
    let asked = false;
    for (const [socket, name] of this.#served) {
      if (name !== container) continue;
      socket.write(`${JSON.stringify(releaseRequest(key))}\n`);
      asked = true;
    }
    return asked;
  }

  /** Ends every connection and removes the socket. Consumers keep what they have. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#users.keys()) socket.destroy();
    await closed;
  }

  #admit(socket: Socket): void {
    socket.on('error', () => socket.destroy());
    let peer: PeerCredentials;
    try {
      peer = this.#options.peerOf(socket);
    } catch {
      socket.destroy();
      return;
    }
    const mine = [...this.#users.values()].filter((uid) => uid === peer.uid).length;
    const { connections, connectionsPerUser, requestMs } = this.#limits;
    if (this.#users.size >= connections || mine >= connectionsPerUser) {
      socket.destroy();
      return;
    }
    this.#users.set(socket, peer.uid);
    const timer = setTimeout(() => socket.destroy(), requestMs);
    socket.once('close', () => {
      clearTimeout(timer);
      this.#users.delete(socket);
      this.#served.delete(socket);
    });
    readLine(socket, (line) => {
      clearTimeout(timer);
      // What comes after the request is of no interest, but the end is.
      socket.resume();
      void this.#serve(socket, peer, line);
    });
  }

  async #serve(socket: Socket, peer: PeerCredentials, line: string): Promise<void> {
    try {
      const request = readRequest(line);
      if (request === null) {
        say(
          socket,
          refusal(
            'malformed',
            'the line is no HandOverRequest of version 1',
            'see docs/hand-over.md',
          ),
        );
        return;
      }
      const answer = await this.#options.consumers.handOver(request.container, peer.pid);
      if ('kind' in answer) say(socket, answer);
      else await this.#send(socket, request.container, answer);
    } catch (error) {
      say(socket, refusal('failed', formatErrorChain(error), "see the daemon's log"));
    }
  }

  /** The files go with the whole line: a connection that cannot take it at once is not one that asked in good faith. */
  async #send(socket: Socket, container: string, { answer, fds, forget }: Handed): Promise<void> {
    const bytes = new TextEncoder().encode(`${JSON.stringify(answer)}\n`);
    try {
      if (socket.destroyed) throw new Error('the client is gone');
      const sent = this.#options.sendWithFds(socket, bytes, fds as readonly Fd[]);
      if (sent < bytes.length) socket.write(bytes.subarray(sent));
      this.#served.set(socket, container);
    } catch (error) {
      socket.destroy();
      await forget();
      throw error;
    }
  }
}

function say(socket: Socket, answer: Refusal): void {
  socket.end(`${JSON.stringify(answer)}\n`);
}

/** Calls `onLine` with the first line, once; ends a connection whose line is too long. */
function readLine(socket: Socket, onLine: (line: string) => void): void {
  let text = '';
  const onData = (chunk: Buffer): void => {
    text += chunk.toString('latin1');
    const end = text.indexOf('\n');
    if (end === -1 && text.length <= LINE_BYTES_MAX) return;
    socket.off('data', onData);
    if (end === -1 || end > LINE_BYTES_MAX) socket.destroy();
    else onLine(Buffer.from(text.slice(0, end), 'latin1').toString('utf8'));
  };
  socket.on('data', onData);
}
