/** What one client may take of the daemon. Each bound has a client that tries it in the tests. */

/** Bounds of the socket. */
export interface SocketLimits {
  /** Connections of one peer at once: a user, or for root a process. */
  readonly connectionsPerPeer: number;
  /** Connections of everybody but root, who must be able to ask whatever others do. */
  readonly connections: number;
  readonly bodyBytes: number;
  readonly headerBytes: number;
  /** A request must be complete after this long. */
  readonly requestMs: number;
  /** A client that takes nothing of its answer for this long is dropped. */
  readonly stalledMs: number;
  /** The longest wait for the outcome of a request; who wants to wait longer asks again. */
  readonly waitMs: number;
  /** What may lie unread in an event stream before its client is dropped. */
  readonly unreadBytes: number;
}

/** Bounds that no honest client meets. */
export const DEFAULT_LIMITS: SocketLimits = {
  connectionsPerPeer: 16,
  connections: 128,
  bodyBytes: 16 * 1024,
  headerBytes: 8 * 1024,
  requestMs: 5000,
  stalledMs: 10_000,
  waitMs: 60_000,
  unreadBytes: 256 * 1024,
};
