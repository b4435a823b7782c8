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
import { type Problem, ProblemError } from './problem.ts';
import { type Answer, ROUTES, type Route } from './routes.ts';

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
    this.#http.on('clientError', (error, socket) => refuse(socket as Socket, statusOf(error)));
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
const PROBLEM_TYPE = 'application/problem+json';

function urlOf(request: IncomingMessage): URL {
  try {
    return new URL(request.url ?? '/', 'http://autodomain');
  } catch {
    throw new ProblemError('bad-request', 'nothing was done', 'the path is none', HELP);
  }
}

const HELP = 'see docs/daemon-api.md for what can be asked';

function routeOf(method: string, path: string): { readonly route: Route; readonly tail: string } {
  const matching = ROUTES.filter((route) => tailOf(route, path) !== null);
  const route = matching.find((each) => each.method === method);
  if (route !== undefined) return { route, tail: tailOf(route, path) ?? '' };
  if (matching.length === 0) {
    const cause = `there is no ${path.slice(0, 100)}`;
    throw new ProblemError('not-found', 'nothing was done', cause, HELP);
  }
  const cause = `${path} takes ${matching.map((each) => each.method).join(', ')}`;
  throw new ProblemError('method-not-allowed', 'nothing was done', cause, HELP);
}

function tailOf({ path }: Route, asked: string): string | null {
  if (!path.endsWith('*')) return asked === path ? '' : null;
  const tail = asked.slice(path.length - 1);
  return asked.startsWith(path.slice(0, -1)) && /^[\w.-]{1,64}$/.test(tail) ? tail : null;
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

const TOO_MANY = {
  status: 503,
  reason: 'Service Unavailable',
  type: 'too-many-connections',
  cause: 'this user or process has too many connections open',
  remedy: 'close some, and try again',
} as const;

const BAD_REQUEST = {
  status: 400,
  reason: 'Bad Request',
  type: 'bad-request',
  cause: 'this is not an HTTP request',
  remedy: HELP,
} as const;

const HEADERS_TOO_LARGE = {
  status: 431,
  reason: 'Request Header Fields Too Large',
  type: 'too-large',
  cause: 'the header of the request is too large',
  remedy: 'send less',
} as const;

const TOO_SLOW = {
  status: 408,
  reason: 'Request Timeout',
  type: 'bad-request',
  cause: 'the request did not arrive in time',
  remedy: 'send it at once',
} as const;

type Refusal = typeof TOO_MANY | typeof BAD_REQUEST | typeof HEADERS_TOO_LARGE | typeof TOO_SLOW;

function statusOf(error: Error): Refusal {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'HPE_HEADER_OVERFLOW') return HEADERS_TOO_LARGE;
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? TOO_SLOW : BAD_REQUEST;
}

/** Answers a connection that never became a request, and ends it, read or not. */
function refuse(socket: Socket, { status, reason, type, cause, remedy }: Refusal): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const problem: Problem = {
    formatVersion: '1.0',
    kind: 'Problem',
    type,
    status,
    title: 'nothing was done',
    cause,
    remedy,
  };
  const text = `${JSON.stringify(problem)}\n`;
  const head = [
    `HTTP/1.1 ${status} ${reason}`,
    `content-type: ${PROBLEM_TYPE}`,
    `content-length: ${Buffer.byteLength(text)}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${text}`, () => socket.destroy());
}
