/**
 * The seam of what files themselves are passed through: AF_UNIX sockets, pipes, flags, locks. `native/unix.ts`
 * answers with the kernel, tests with a service manager of their own. Calls that touch devices are in port.ts.
 */
import type { Fd } from './port.ts';

/** What one message on a socket carried. The receiver closes the files. */
export interface Received {
  readonly bytes: Uint8Array;
  readonly fds: readonly Fd[];
  /** The sender's message or its list of files was longer than there was room; the rest is lost. */
  readonly truncated: boolean;
}

/** Calls on files that are passed on. None of them blocks; each throws SyscallError with the errno. */
export interface UnixCalls {
  /** A new AF_UNIX socket, not connected, with CLOEXEC. */
  socket(type: 'datagram' | 'stream'): Fd;
  /** Two connected sockets with CLOEXEC. */
  socketPair(type: 'datagram' | 'stream'): readonly [Fd, Fd];
  /** Gives a datagram socket an address: a path, or `@name` in the abstract namespace. */
  bind(socket: Fd, address: string): void;
  /** A pipe with CLOEXEC and without blocking: the end to read, the end to write. */
  pipe(): readonly [Fd, Fd];
  /** Sends bytes with files, by SCM_RIGHTS; at least one byte, at most 253 files. `to`: of a datagram. EAGAIN: the receiver is slow. Returns the bytes that went. */
  sendWithFds(socket: Fd, bytes: Uint8Array, fds: readonly Fd[], to?: string): number;
  /** One message with its files, which get CLOEXEC; no bytes: the other side has closed. EAGAIN: nothing is there. */
  receiveWithFds(socket: Fd): Received;
  /** Has the other end of the pipe been closed, wherever it was? */
  isHungUp(pipeEnd: Fd): boolean;
  setCloseOnExec(fd: Fd): void;
  /** flock(2), exclusive: true where the lock is ours now; false where another open file has it. */
  tryLock(fd: Fd): boolean;
  close(fd: Fd): void;
}
