/** SO_PEERCRED: Node has no binding for getsockopt(2). */
import type { Socket } from 'node:net';
import koffi from 'koffi';
import { fileOf, type PeerCredentials } from '../peer.ts';
import { SyscallError } from '../port.ts';
import { errnoName } from '../uapi/errno.ts';

const libc = koffi.load(null);
const getsockopt = libc.func(
  'int getsockopt(int fd, int level, int name, void *value, _Inout_ uint32_t *length)',
);

/** include/uapi/asm-generic/socket.h; the same on x86, arm64, riscv and s390. */
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const UCRED_BYTES = 12;

/** The peer of a connected Unix socket. Throws SyscallError: ENOTCONN for a socket that is closed already. */
export function peerOf(socket: Socket): PeerCredentials {
  const fd = fileOf(socket);
  const ucred = new Uint8Array(UCRED_BYTES);
  const length = [UCRED_BYTES];
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ucred, length) !== 0) {
    throw new SyscallError('getsockopt', errnoName(-koffi.errno()), 'SO_PEERCRED');
  }
  const view = new DataView(ucred.buffer);
  return {
    pid: view.getInt32(0, true),
    uid: view.getUint32(4, true),
    gid: view.getUint32(8, true),
  };
}
