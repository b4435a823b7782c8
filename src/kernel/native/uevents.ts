/**
 * The kernel's uevents over netlink. Only the kernel is believed: user space can send to the same group.
 * What is lost because nobody read in time is one `overflow`. Needs no privilege; a network namespace
 * that belongs to another user namespace than the first hears nothing.
 */
import { closeSync } from 'node:fs';
import { type Fd, SyscallError } from '../port.ts';
import { errnoName } from '../uapi/errno.ts';
import { type KernelEvent, parseUevent } from '../uevent.ts';
import { bindSocket, receiveFrom, setSocketOption, socket } from './libc.ts';
import type { Poller } from './poll.ts';

/** include/linux/socket.h, include/linux/net.h, include/uapi/linux/netlink.h (v6.12); the same on x86-64, arm64 and riscv64. */
const AF_NETLINK = 16;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SOCK_NONBLOCK = 0o4000;
const NETLINK_KOBJECT_UEVENT = 15;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_RCVBUFFORCE = 33;
/** The group of the kernel's own messages; udev sends to group 2. */
const KERNEL_GROUP = 1;

/** Room for a boot's worth of events: some two thousand. */
const RECEIVE_BUFFER_BYTES = 1 << 20;
/** The kernel's limit is 2 KiB of texts and a path before them. */
const MESSAGE_BYTES = 8192;
/** More messages than this are left for the next turn, so that the event loop breathes. */
const MESSAGES_PER_TURN = 256;

/** Listens until the returned function is called; the events of one turn come together. Throws SyscallError where there is no such socket (EPROTONOSUPPORT, EAFNOSUPPORT). */
export function listenToUevents(
  poller: Poller,
  onEvents: (events: readonly KernelEvent[]) => void,
): () => void {
  const fd = openUeventSocket();
  const unwatch = poller.watch(fd, () => {
    const events = receiveUevents(fd);
    if (events.length > 0) onEvents(events);
    return 'again';
  });
  return () => {
    unwatch();
    closeSync(fd);
  };
}

/** A socket in the kernel's group of uevents, closed on exec, that never blocks. Throws SyscallError. */
export function openUeventSocket(): Fd {
  const type = SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
  const fd = checked('socket', socket(AF_NETLINK, type, NETLINK_KOBJECT_UEVENT)) as Fd;
  try {
    const size = new Uint8Array(Uint32Array.of(RECEIVE_BUFFER_BYTES).buffer);
    // Beyond the system's limit only with CAP_NET_ADMIN; else as much as there is.
    if (setSocketOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, size) < 0) {
      checked('setsockopt', setSocketOption(fd, SOL_SOCKET, SO_RCVBUF, size));
    }
    checked('bind', bindSocket(fd, netlinkAddress(KERNEL_GROUP)));
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return fd;
}

/** Everything that has come, up to what one turn may take. Throws SyscallError for what should not happen to a socket. */
export function receiveUevents(fd: Fd): readonly KernelEvent[] {
  const events: KernelEvent[] = [];
  for (let turn = 0; turn < MESSAGES_PER_TURN; turn += 1) {
    const received = receive(fd);
    if (received === 'none') break;
    if (received !== 'foreign') events.push(received);
  }
  return events;
}

/** One message. `foreign`: not the kernel's, or not one that can be read. */
function receive(fd: Fd): KernelEvent | 'none' | 'foreign' {
  const buffer = new Uint8Array(MESSAGE_BYTES);
  const from = netlinkAddress(0);
  const length = receiveFrom(fd, buffer, 0, from);
  if (length < 0) {
    const errno = errnoName(length);
    if (errno === 'EAGAIN') return 'none';
    if (errno === 'ENOBUFS') return { kind: 'overflow' };
    checked('recvfrom', length);
  }
  const uevent = isFromKernel(from) ? parseUevent(buffer.subarray(0, length)) : null;
  return uevent === null ? 'foreign' : { kind: 'uevent', uevent };
}

/** struct sockaddr_nl: u16 family, u16 pad, u32 port, u32 groups. */
function netlinkAddress(groups: number): Uint8Array {
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_NETLINK, true);
  view.setUint32(8, groups, true);
  return bytes;
}

/** The kernel's port is 0, and it alone can send from there. */
function isFromKernel(from: Uint8Array): boolean {
  return new DataView(from.buffer, from.byteOffset).getUint32(4, true) === 0;
}

function checked(call: string, returned: number): number {
  if (returned < 0) throw new SyscallError(call, errnoName(returned), 'kernel uevents');
  return returned;
}
