/**
 * The control socket: HTTP/1.1 on a Unix socket, one request a connection. Everything a client sends
 * is bounded in size and time, and nothing that it does ends more than its own connection.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { formatErrorChain } from '../../base/errors.ts';
import type { PeerCredentials } from '../../kernel/peer.ts';
import type { DaemonControl } from '../control.ts';
import type { Log } from '../log.ts';
import { readBody } from './body.ts';
import { streamEvents } from './events.ts';
import { DEFAULT_LIMITS, type SocketLimits } from './limits.ts';
import { listenAt, type SocketPlace } from './listen.ts';
import { mayChange, Peers } from './peers.ts';
import { PROBLEM_TYPE, ProblemError, SEE_API } from './problem.ts';
import { refusalOf, refuse, TOO_MANY } from './refuse.ts';
import { type Answer, routeOf } from './routes.ts';

/** What the socket serves, and where. */
export interface SocketOptions {
  readonly control: DaemonControl;
  readonly place: SocketPlace;
  /** The text for `/metrics`. */
  metrics(): Promise<string>;
  /** Asks the kernel who is connected; throws where it cannot say. */
  peerOf(socket: Socket): PeerCredentials;
  readonly limits?: Partial<SocketLimits>;
  readonly log: Pick<Log, 'warn' | 'error'>;
}

/** A socket that listens. */
export interface ControlSocket {
  readonly path: string;
  /** Ends every connection and removes the socket. */
  close(): Promise<void>;
}

/** Starts to listen; see `listenAt` for what it throws. */
export async function serveSocket(options: SocketOptions): Promise<ControlSocket> {
  const endpoint = new Endpoint(options);
  await endpoint.listen();
  return {
    path: options.place.path,
    close: () => endpoint.close(),
  };
}

class Endpoint {
  readonly #options: SocketOptions;
  readonly #limits: SocketLimits;
  readonly #peers: Peers;
  readonly #http: ReturnType<typeof createServer>;
  readonly #open = new Set<Socket>();

  constructor(options: SocketOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#peers = new Peers(this.#limits);
    this.#http = createServer({
      maxHeaderSize: this.#limits.headerBytes,
      headersTimeout: this.#limits.requestMs,
      requestTimeout: this.#limits.requestMs,
      connectionsCheckingInterval: Math.min(1000, this.#limits.requestMs),
    });
    this.#http.maxRequestsPerSocket = 1;
    this.#http.on('request', (request, response) => void this.#serve(request, response));
    this.#http.on('clientError', (error, socket) => refuse(socket as Socket, refusalOf(error)));
    // A peer is known and counted before HTTP hears of its connection.
    const [listener] = this.#http.listeners('connection');
    this.#http.removeAllListeners('connection');
    this.#http.on('connection', (socket: Socket) => {
      if (this.#admit(socket)) listener?.call(this.#http, socket);
    });
  }

  async listen(): Promise<void> {
    await listenAt(this.#http, this.#options.place);
    this.#http.on('error', (error) => this.#options.log.error(`control socket: ${error.message}`));
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#http.close(() => resolve()));
    for (const socket of this.#open) socket.destroy();
    await closed;
  }

  /** False: the connection is not for HTTP, and on its way out. */
  #admit(socket: Socket): boolean {
    // Without a listener, a reset by the peer would end the process.
    socket.on('error', () => socket.destroy());
    this.#open.add(socket);
    socket.once('close', () => this.#open.delete(socket));
    let peer: PeerCredentials;
    try {
      peer = this.#options.peerOf(socket);
    } catch {
      socket.destroy();
      return false;
    }
    if (this.#peers.admit(socket, peer)) return true;
    refuse(socket, TOO_MANY);
    return false;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.setHeader('connection', 'close');
    response.setHeader('cache-control', 'no-store');
    try {
      const answer = await this.#answer(request, response);
      if (answer.kind === 'events') {
        streamEvents(this.#options.control, response, this.#limits.unreadBytes);
      } else if (answer.kind === 'text') {
        this.#send(response, answer.status, answer.contentType, answer.text);
      } else {
        this.#send(response, answer.status, JSON_TYPE, `${JSON.stringify(answer.document)}\n`);
      }
    } catch (error) {
      // Whoever went away in the middle of a request hears no answer.
      if (request.socket.destroyed) return;
      const { problem } = error instanceof ProblemError ? error : this.#unexpected(request, error);
      this.#send(response, problem.status, PROBLEM_TYPE, `${JSON.stringify(problem)}\n`);
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<Answer> {
    const { control, metrics } = this.#options;
    const peer = this.#peers.of(request.socket);
    // A connection that was let in is known for as long as it lasts.
    if (peer === null) throw new Error('the connection has no peer');
    const url = urlOf(request);
    const { route, tail } = routeOf(request.method ?? '', url.pathname);
    if (route.method === 'POST') requireChange(peer, url.pathname);
    const body = await readBody(request, this.#limits.bodyBytes);
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    return route.answer({
      control,
      peer,
      query: url.searchParams,
      tail,
      body,
      waitMs: this.#limits.waitMs,
      signal: gone.signal,
      metrics: () => metrics(),
    });
  }

  #send(response: ServerResponse, status: number, type: string, text: string): void {
    if (response.destroyed || response.headersSent) {
      response.destroy();
      return;
    }
    // The time runs anew with every part that the client takes.
    response.setTimeout(this.#limits.stalledMs, () => response.destroy());
    response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text) });
    response.end(text);
  }

  #unexpected(request: IncomingMessage, error: unknown): ProblemError {
    this.#options.log.error(
      { err: error },
      `control socket: ${request.method} ${request.url} failed`,
    );
    return new ProblemError(
      'internal',
      'the request failed',
      formatErrorChain(error),
      'it is a defect of autodomain: please report it with the log of the daemon',
    );
  }
}

const JSON_TYPE = 'application/json';

function urlOf(request: IncomingMessage): URL {
  try {
    return new URL(request.url ?? '/', 'http://autodomain');
  } catch {
    throw new ProblemError('bad-request', 'nothing was done', 'the path is none', SEE_API);
  }
}

function requireChange(peer: PeerCredentials, path: string): void {
  const own = process.getuid?.() ?? 0;
  if (mayChange(peer, own)) return;
  throw new ProblemError(
    'not-allowed',
    'nothing was done',
    `uid ${peer.uid} may look, but ${path} takes ${own === 0 ? 'root' : `root or uid ${own}`}`,
    'run it as that user, for example with sudo',
  );
}
