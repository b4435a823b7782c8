/**
 * Asking a running daemon over its socket. Four answers are kept apart: there is no daemon, there is
 * a socket and no answer, a right is missing, and the daemon said no. Only the first one lets a verb go
 * on without a daemon. Not here: what a verb makes of an answer.
 */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { AutodomainError, type ErrorCode } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import type { Confirmation, RequestOutcome, StatusDocument } from './control.ts';
import type { EventDocument, RequestDocument } from './documents.ts';
import type { Problem, ProblemType } from './socket/problem.ts';

/** How long a daemon may think before it counts as not answering, in milliseconds. */
const ANSWER_MS = 10_000;
/** A graph of 20,000 devices is some 10 MB. */
const ANSWER_BYTES_MAX = 256 * 1024 * 1024;
/** One question waits this long in the daemon; then it is asked again. */
const WAIT_MS = 30_000;

/** What a client can be told to do differently. */
export interface ClientOptions {
  readonly answerMs?: number;
  readonly signal?: AbortSignal;
}

/** A daemon that answers at a socket. */
export class DaemonClient {
  readonly path: string;
  readonly #answerMs: number;
  readonly #signal: AbortSignal | undefined;

  constructor(path: string, { answerMs = ANSWER_MS, signal }: ClientOptions = {}) {
    this.path = path;
    this.#answerMs = answerMs;
    this.#signal = signal;
  }

  /** The status. */
  status(): Promise<StatusDocument> {
    return this.#ask('GET', '/v1/status') as Promise<unknown> as Promise<StatusDocument>;
  }

  /** The live graph's document. */
  graph(): Promise<Json> {
    return this.#ask('GET', '/v1/graph');
  }

  /** The document of the plan that the daemon would apply now. */
  plan(): Promise<Json> {
    return this.#ask('GET', '/v1/plan');
  }

  /** Asks for an attempt now. With a digest: only if that config is attempted, else `stale-plan` (7). Returns the request's id. */
  async reconcile(digest: string | null): Promise<string> {
    const body = digest === null ? {} : { digest };
    const answer = (await this.#ask('POST', '/v1/reconcile', body)) as unknown as RequestDocument;
    return answer.id;
  }

  /** What came of a request; `pending` after `waitMs`. Asks anew when one question has waited long enough. */
  async outcomeOf(id: string, waitMs: number): Promise<RequestOutcome> {
    const end = Date.now() + waitMs;
    for (;;) {
      const left = Math.max(0, Math.min(WAIT_MS, end - Date.now()));
      const path = `/v1/requests/${id}?waitMs=${left}`;
      const answer = (await this.#ask('GET', path, null, left)) as unknown as RequestDocument;
      if (answer.outcome !== 'pending' || Date.now() >= end) return answer.outcome;
    }
  }

  /** Nothing is applied until `resume`. */
  async suspend(): Promise<void> {
    await this.#ask('POST', '/v1/suspend', {});
  }

  /** Ends a suspension. */
  async resume(): Promise<void> {
    await this.#ask('POST', '/v1/resume', {});
  }

  /** Confirms for one config, once. Throws `stale-plan` (7) where the config is another one by now. */
  async confirm(confirmation: Confirmation): Promise<void> {
    await this.#ask('POST', '/v1/confirm', { ...confirmation });
  }

  /** Hears events once it resolves, each as it comes, until the signal aborts or the daemon ends the stream. */
  async events(listener: (event: EventDocument) => void, signal: AbortSignal): Promise<void> {
    const response = await this.#open('GET', '/v1/events', '', signal).catch((error: unknown) => {
      throw this.#explained(error);
    });
    let rest = '';
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => {
      const lines = `${rest}${chunk}`.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const event = documentOf(line) as unknown as EventDocument | null;
        if (event?.kind === 'Event') listener(event);
      }
    });
    // The end of the stream, whoever ends it, is no news: what counts is asked for.
    response.on('error', () => undefined);
  }

  async #ask(
    method: 'GET' | 'POST',
    path: string,
    body: object | null = null,
    waitMs = 0,
  ): Promise<Json> {
    const sent = body === null ? null : JSON.stringify(body);
    const answered = await this.#exchange(method, path, sent, waitMs);
    const document = documentOf(answered.text);
    if (isProblem(document)) throw errorOf(document);
    if (document === null || answered.status >= 300) throw this.#silent(`HTTP ${answered.status}`);
    requireVersion(document);
    return document;
  }

  async #exchange(
    method: string,
    path: string,
    body: string | null,
    waitMs: number,
  ): Promise<{ readonly status: number; readonly text: string }> {
    const timer = AbortSignal.timeout(this.#answerMs + waitMs);
    const signal = this.#signal === undefined ? timer : AbortSignal.any([timer, this.#signal]);
    try {
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        const headers = { connection: 'close', 'content-length': Buffer.byteLength(body ?? '') };
        const options = { socketPath: this.path, method, path, headers, signal };
        httpRequest(options, resolve)
          .on('error', reject)
          .end(body ?? '');
      });
      return { status: response.statusCode ?? 0, text: await textOf(response) };
    } catch (error) {
      if (this.#signal?.aborted) throw new AutodomainError('io', 'interrupted');
      if (error instanceof AutodomainError) throw error;
      const late = `no answer within ${(this.#answerMs + waitMs) / 1000} s`;
      throw this.#explained(timer.aborted ? new Error(late) : error);
    }
  }

  #open(method: string, path: string, body: string, signal: AbortSignal): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const headers = { connection: 'close', 'content-length': Buffer.byteLength(body) };
      const options = { socketPath: this.path, method, path, headers, signal };
      httpRequest(options, resolve).on('error', reject).end(body);
    });
  }

  #explained(error: unknown): AutodomainError {
    switch ((error as NodeJS.ErrnoException).code) {
      case 'ENOENT':
        return new NoDaemonError(this.path);
      case 'EACCES':
      case 'EPERM':
        return new AutodomainError('no-permission', `${this.path}: this user may not connect`, {
          cause: error,
          remedy: 'run as root, or let the group of the socket have this user',
        });
      default:
        return this.#silent((error as Error).message);
    }
  }

  #silent(cause: string): AutodomainError {
    return new AutodomainError('io', `no daemon answers at ${this.path}: ${cause}`, {
      remedy:
        'see `systemctl status autodomain`, and start it again; the kernel is not touched past a daemon that may hold it',
    });
  }
}

/** There is no socket: nobody runs, or somewhere else. Exit 1. */
export class NoDaemonError extends AutodomainError {
  constructor(path: string) {
    super('io', `no daemon runs: there is no ${path}`, {
      remedy: 'start it (`systemctl start autodomain`), or name its socket with --socket',
    });
  }
}

/** Reads the answer within its bound. */
async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > ANSWER_BYTES_MAX) throw new Error('the answer is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function documentOf(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return null;
  }
}

function isProblem(document: Json): boolean {
  return (document as { readonly kind?: unknown } | null)?.kind === 'Problem';
}

/** A newer minor version only adds; a newer major one says something that we cannot know. */
function requireVersion(document: Json): void {
  const { formatVersion } = document as { readonly formatVersion?: unknown };
  if (typeof formatVersion === 'string' && /^1\./.test(formatVersion)) return;
  throw new AutodomainError('io', `the daemon speaks format ${String(formatVersion)}`, {
    remedy: 'use the version of autodomain that the daemon has',
  });
}

const CODES: { readonly [T in ProblemType]: ErrorCode } = {
  'bad-request': 'usage',
  'not-allowed': 'no-permission',
  'not-found': 'io',
  'method-not-allowed': 'io',
  stale: 'stale-plan',
  suspended: 'refused',
  'too-large': 'usage',
  internal: 'io',
  'not-yet': 'io',
  'too-many-connections': 'io',
};

function errorOf(document: Json): AutodomainError {
  const { type, title, cause, remedy } = document as unknown as Problem;
  const code: ErrorCode | undefined = CODES[type];
  return new AutodomainError(code ?? 'io', `${title}: ${cause}`, { remedy });
}
