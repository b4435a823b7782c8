/** Answers for connections that never became a request: they are written by hand, since HTTP has no response for them. */
import type { Socket } from 'node:net';
import { PROBLEM_TYPE, type Problem, SEE_API } from './problem.ts';

/** For a peer that has as many connections as it may. */
export const TOO_MANY = {
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
  remedy: SEE_API,
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

/** The refusal for what Node's parser did not take. */
export function refusalOf(error: Error): Refusal {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'HPE_HEADER_OVERFLOW') return HEADERS_TOO_LARGE;
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? TOO_SLOW : BAD_REQUEST;
}

/** Answers a connection that never became a request, and ends it, read or not. */
export function refuse(socket: Socket, { status, reason, type, cause, remedy }: Refusal): void {
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
