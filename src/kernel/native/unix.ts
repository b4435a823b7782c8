/**
 * AF_UNIX messages with files (SCM_RIGHTS), pipes and flock(2), over libc. msghdr, iovec and cmsghdr are laid
 * out by hand as 64-bit Linux has them. Source: include/linux/socket.h, include/uapi/linux/uio.h (v6.12).
 */
import koffi from 'koffi';
import { assert } from '../../base/assert.ts';
import { type Fd, SyscallError } from '../port.ts';
import { errnoName } from '../uapi/errno.ts';
import type { Received, UnixCalls } from '../unix-port.ts';
import { addressOf } from './libc.ts';

const libc = koffi.load(null);
const nativeSocket = libc.func('int socket(int domain, int type, int protocol)');
const nativePair = libc.func('int socketpair(int domain, int type, int protocol, void *fds)');
const nativeBind = libc.func('int bind(int fd, void *address, unsigned int length)');
const nativePipe = libc.func('int pipe2(void *fds, int flags)');
const nativeSend = libc.func('long sendmsg(int fd, void *message, int flags)');
const nativeReceive = libc.func('long recvmsg(int fd, void *message, int flags)');
const nativePoll = libc.func('int poll(void *fds, unsigned long count, int timeout)');
const nativeFcntl = libc.func('int fcntl(int fd, int command, long argument)');
const nativeFlock = libc.func('int flock(int fd, int operation)');
const nativeClose = libc.func('int close(int fd)');

const AF_UNIX = 1;
const SOCK_TYPES = { stream: 1, datagram: 2 } as const;
const CLOEXEC = 0o2000000;
const NONBLOCK = 0o4000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_CTRUNC = 0x8;
const MSG_TRUNC = 0x20;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x40000000;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const POLLIN = 1;
const POLLHUP = 0x10;

/** The kernel takes no more files in one message. Source: SCM_MAX_FD in include/net/scm.h. */
const FDS_MAX = 253;
const RECEIVE_BYTES_MAX = 1 << 16;
const PATH_BYTES_MAX = 108;
const CMSG_HEADER = 16;
const MSGHDR_SIZE = 56;

/** The calls over the running kernel. */
export const unixCalls: UnixCalls = {
  socket(type) {
    const kind = SOCK_TYPES[type] | CLOEXEC;
    return done('socket', 'AF_UNIX', nativeSocket(AF_UNIX, kind, 0) as number) as Fd;
  },
  socketPair(type) {
    const kind = SOCK_TYPES[type] | CLOEXEC;
    return pairOf('socketpair', (fds) => nativePair(AF_UNIX, kind, 0, fds) as number);
  },
  bind(socket, address) {
    const name = socketAddress(address);
    done('bind', address, nativeBind(socket, name, name.length) as number);
  },
  pipe: () => pairOf('pipe2', (fds) => nativePipe(fds, CLOEXEC | NONBLOCK) as number),
  sendWithFds,
  receiveWithFds,
  isHungUp(pipeEnd) {
    const request = new Uint8Array(8);
    const view = new DataView(request.buffer);
    view.setInt32(0, pipeEnd, true);
    view.setInt16(4, POLLIN, true);
    done('poll', `fd ${pipeEnd}`, nativePoll(request, 1, 0) as number);
    return (view.getInt16(6, true) & POLLHUP) !== 0;
  },
  setCloseOnExec(fd) {
    done('fcntl', `fd ${fd}`, nativeFcntl(fd, F_SETFD, FD_CLOEXEC) as number);
  },
  tryLock(fd) {
    if ((nativeFlock(fd, LOCK_EX | LOCK_NB) as number) === 0) return true;
    const errno = errnoName(koffi.errno());
    if (errno === 'EAGAIN') return false;
    throw new SyscallError('flock', errno, `fd ${fd}`);
  },
  close(fd) {
    done('close', `fd ${fd}`, nativeClose(fd) as number);
  },
};

function sendWithFds(socket: Fd, bytes: Uint8Array, fds: readonly Fd[], to?: string): number {
  assert(bytes.length > 0, 'a stream carries files only along with a byte');
  assert(fds.length <= FDS_MAX, `${fds.length} files in one message`);
  const name = to === undefined ? null : socketAddress(to);
  const control = fds.length === 0 ? null : rights(fds);
  const header = messageOf(name, bytes, control);
  const sent = nativeSend(socket, header, MSG_DONTWAIT | MSG_NOSIGNAL);
  return done('sendmsg', to ?? `fd ${socket}`, Number(sent));
}

function receiveWithFds(socket: Fd): Received {
  const bytes = new Uint8Array(RECEIVE_BYTES_MAX);
  const control = new Uint8Array(CMSG_HEADER + FDS_MAX * 4 + 4);
  const header = messageOf(null, bytes, control);
  const answer = nativeReceive(socket, header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  const length = done('recvmsg', `fd ${socket}`, Number(answer));
  const view = new DataView(header.buffer);
  const flags = view.getInt32(48, true);
  return {
    bytes: bytes.slice(0, length),
    fds: filesIn(control.subarray(0, Number(view.getBigUint64(40, true)))),
    truncated: (flags & (MSG_TRUNC | MSG_CTRUNC)) !== 0,
  };
}

/** What the message of the call that is being made points to: kept from the collector until the next one. */
const inCall: { keeps: readonly unknown[] } = { keeps: [] };

/** A msghdr with one iovec, for one call at once. */
function messageOf(
  name: Uint8Array | null,
  bytes: Uint8Array,
  control: Uint8Array | null,
): Uint8Array<ArrayBuffer> {
  const vector = new BigUint64Array([addressOf(bytes), BigInt(bytes.length)]);
  const header = new Uint8Array(MSGHDR_SIZE);
  const view = new DataView(header.buffer);
  if (name !== null) view.setBigUint64(0, addressOf(name), true);
  view.setUint32(8, name?.length ?? 0, true);
  view.setBigUint64(16, addressOf(new Uint8Array(vector.buffer)), true);
  view.setBigUint64(24, 1n, true);
  if (control !== null) view.setBigUint64(32, addressOf(control), true);
  view.setBigUint64(40, BigInt(control?.length ?? 0), true);
  inCall.keeps = [name, bytes, control, vector, header];
  return header;
}

/** One control message with files: length, level, type, then the numbers, padded to eight bytes. */
function rights(fds: readonly Fd[]): Uint8Array {
  const length = CMSG_HEADER + fds.length * 4;
  const control = new Uint8Array(Math.ceil(length / 8) * 8);
  const view = new DataView(control.buffer);
  view.setBigUint64(0, BigInt(length), true);
  view.setInt32(8, SOL_SOCKET, true);
  view.setInt32(12, SCM_RIGHTS, true);
  for (const [index, fd] of fds.entries()) view.setInt32(CMSG_HEADER + index * 4, fd, true);
  return control;
}

function filesIn(control: Uint8Array): readonly Fd[] {
  const view = new DataView(control.buffer, control.byteOffset, control.byteLength);
  const fds: Fd[] = [];
  for (let at = 0; at + CMSG_HEADER <= control.length; ) {
    const length = Number(view.getBigUint64(at, true));
    if (length < CMSG_HEADER) break;
    const isRights =
      view.getInt32(at + 8, true) === SOL_SOCKET && view.getInt32(at + 12, true) === SCM_RIGHTS;
    for (let fd = at + CMSG_HEADER; isRights && fd + 4 <= at + length; fd += 4) {
      fds.push(view.getInt32(fd, true) as Fd);
    }
    at += Math.ceil(length / 8) * 8;
  }
  return fds;
}

/** A sockaddr_un: a path ends with a zero byte, an abstract name begins with one and has its length from the address. */
function socketAddress(address: string): Uint8Array {
  const isAbstract = address.startsWith('@');
  const name = new TextEncoder().encode(isAbstract ? address.slice(1) : address);
  assert(
    name.length < PATH_BYTES_MAX,
    `a socket's address has at most ${PATH_BYTES_MAX - 1} bytes`,
  );
  const bytes = new Uint8Array(2 + name.length + 1);
  new DataView(bytes.buffer).setUint16(0, AF_UNIX, true);
  bytes.set(name, isAbstract ? 3 : 2);
  return bytes;
}

function pairOf(syscall: string, make: (fds: Uint8Array) => number): readonly [Fd, Fd] {
  const fds = new Int32Array(2);
  done(syscall, 'two files', make(new Uint8Array(fds.buffer)));
  return [fds[0] as Fd, fds[1] as Fd];
}

function done(syscall: string, on: string, returned: number): number {
  if (returned < 0) throw new SyscallError(syscall, errnoName(koffi.errno()), on);
  return returned;
}
