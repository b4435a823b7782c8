/** Who is at the other end of a Unix socket, as the kernel noted it when the connection was made. */

import type { Socket } from 'node:net';
import { type Fd, SyscallError } from './port.ts';

/** The file of a connected socket, which Node shows nowhere else. Throws SyscallError: ENOTCONN for one that is closed already. */
export function fileOf(socket: Socket): Fd {
  const { _handle: handle } = socket as unknown as { readonly _handle: { fd: number } | null };
  if (handle === null || handle.fd < 0) throw new SyscallError('socket', 'ENOTCONN', 'peer');
  return handle.fd as Fd;
}

/** SO_PEERCRED, `struct ucred` of include/linux/socket.h: the effective ids of whoever called connect(2). */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  /** The effective group alone; supplementary groups are not in it. */
  readonly gid: number;
}
