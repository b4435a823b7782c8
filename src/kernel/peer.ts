/** Who is at the other end of a Unix socket, as the kernel noted it when the connection was made. */

/** SO_PEERCRED, `struct ucred` of include/linux/socket.h: the effective ids of whoever called connect(2). */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  /** The effective group alone; supplementary groups are not in it. */
  readonly gid: number;
}
