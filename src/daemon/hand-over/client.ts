/** The consumer's side of the hand-over socket, for `autodomain exec`. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { AutodomainError } from '../../base/errors.ts';
import { type Fd, SyscallError } from '../../kernel/port.ts';
import type { Received } from '../../kernel/unix-port.ts';
import { type HandOver, handOverRequest, readAnswer, withNumbers } from './protocol.ts';

/** What the client needs of the system. */
export interface ReceiveOptions {
  readonly path: string;
  readonly container: string;
  /** The answer waits for the end of an attempt under way; in milliseconds. */
  readonly timeoutMs: number;
  /** One message of a connected socket with its files. Throws SyscallError: EAGAIN where nothing is there. */
  receive(socket: Socket): Received;
}

const LOOK_EVERY_MS = 10;

/** Asks for a container; the description names the files by their numbers in this process. Throws AutodomainError: `refused` (6), `timed-out` (8), `io` (1) without a daemon. */
export async function receiveHandOver(options: ReceiveOptions): Promise<HandOver> {
  const socket = connect(options.path);
  // Whoever reads by read(2) loses the files that come along.
  socket.pause();
  try {
    await once(socket, 'connect').catch((error: unknown) => {
      throw new AutodomainError('io', `no daemon answers on ${options.path}`, {
        cause: error,
        remedy: 'start `autodomain watch`, or give its --hand-over-socket',
      });
    });
    socket.write(`${JSON.stringify(handOverRequest(options.container))}\n`);
    const { bytes, fds } = await answerOn(socket, options);
    return understood(new TextDecoder().decode(bytes), fds);
  } finally {
    socket.destroy();
  }
}

async function answerOn(socket: Socket, options: ReceiveOptions): Promise<Received> {
  const chunks: Received[] = [];
  for (let waited = 0; waited < options.timeoutMs; ) {
    const received = tryReceive(socket, options);
    if (received === null) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
      waited += LOOK_EVERY_MS;
      continue;
    }
    chunks.push(received);
    if (received.bytes.length === 0 || received.bytes.at(-1) === NEWLINE) return joined(chunks);
  }
  throw new AutodomainError('timed-out', `no answer within ${options.timeoutMs} ms`, {
    remedy: 'an attempt may be under way: see `autodomain status`, and try again',
  });
}

const NEWLINE = 10;

function tryReceive(socket: Socket, options: ReceiveOptions): Received | null {
  try {
    return options.receive(socket);
  } catch (error) {
    if (error instanceof SyscallError && error.errno === 'EAGAIN') return null;
    throw error;
  }
}

function joined(chunks: readonly Received[]): Received {
  return {
    bytes: Buffer.concat(chunks.map(({ bytes }) => bytes)),
    fds: chunks.flatMap(({ fds }) => fds),
    truncated: chunks.some(({ truncated }) => truncated),
  };
}

function understood(text: string, fds: readonly Fd[]): HandOver {
  const answer = readAnswer(text);
  if (answer === null) {
    throw new AutodomainError('io', 'the daemon ended the connection without an answer', {
      remedy: "see the daemon's log",
    });
  }
  if (answer.kind === 'Refusal') {
    throw new AutodomainError('refused', answer.message, { remedy: answer.remedy });
  }
  return withNumbers(answer, fds);
}
