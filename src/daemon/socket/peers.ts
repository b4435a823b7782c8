/**
 * Who is connected, and what they may do. Whoever the socket's mode lets connect may look. Only root,
 * or the user that the daemon runs as, may change anything: the group is for monitoring, and a change
 * can stop the DMA of a running machine, which takes the right to stop the daemon itself.
 */
import type { Socket } from 'node:net';
import type { PeerCredentials } from '../../kernel/peer.ts';
import type { SocketLimits } from './limits.ts';

/** True where the peer may ask for more than a look. */
export function mayChange(peer: PeerCredentials, ownUid: number): boolean {
  return peer.uid === 0 || peer.uid === ownUid;
}

/** The peers that are connected, each within its bounds. */
export class Peers {
  readonly #limits: SocketLimits;
  readonly #connections = new Map<string, number>();
  readonly #peers = new WeakMap<Socket, PeerCredentials>();
  #ofOthers = 0;

  constructor(limits: SocketLimits) {
    this.#limits = limits;
  }

  /** Lets a connection in, until it closes. False: its peer has as many as it may. */
  admit(socket: Socket, peer: PeerCredentials): boolean {
    const key = peer.uid === 0 ? `pid ${peer.pid}` : `uid ${peer.uid}`;
    const mine = this.#connections.get(key) ?? 0;
    const other = peer.uid === 0 ? 0 : 1;
    if (mine >= this.#limits.connectionsPerPeer) return false;
    if (other === 1 && this.#ofOthers >= this.#limits.connections) return false;
    this.#peers.set(socket, peer);
    this.#connections.set(key, mine + 1);
    this.#ofOthers += other;
    socket.once('close', () => {
      const left = (this.#connections.get(key) ?? 1) - 1;
      if (left === 0) this.#connections.delete(key);
      else this.#connections.set(key, left);
      this.#ofOthers -= other;
    });
    return true;
  }

  /** The peer of a connection that was let in; null for any other. */
  of(socket: Socket): PeerCredentials | null {
    return this.#peers.get(socket) ?? null;
  }
}
