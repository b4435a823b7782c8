/** Handing containers to consumers, for a daemon on the running kernel. */
import type { DeviceKey } from '../base/ids.ts';
import type { Daemon } from '../daemon/daemon.ts';
import { hostAccounts } from '../daemon/hand-over/access.ts';
import { type ConsumerEvent, Consumers } from '../daemon/hand-over/consumers.ts';
import { HandOverSocket } from '../daemon/hand-over/server.ts';
import type { ManagedHost } from '../engine/host.ts';
import { fileOf } from '../kernel/peer.ts';
import type { HotPlug } from './hot-plug.ts';

/** What hands over. */
export interface HandOverDesk {
  /** Asks whoever has a device to let it go. */
  askFor(device: DeviceKey): void;
  /** Ends the socket. Consumers keep what they have, and the journal knows who they are. */
  close(): Promise<void>;
}

/** Opens the desk: consumers of an earlier process are waited for, and new ones may ask. */
export async function openHandOver(
  path: string,
  { host, daemon, hotPlug }: { host: ManagedHost; daemon: Daemon; hotPlug: HotPlug },
): Promise<HandOverDesk> {
  const { unixCalls } = await import('../kernel/native/unix.ts');
  const { peerOf } = await import('../kernel/native/peer.ts');
  const consumers = new Consumers({
    host,
    accounts: hostAccounts,
    view: () => daemon.view,
    between: (work) => daemon.between(work),
    watchExit: (pid, onEnd) => hotPlug.watchExit(pid, onEnd),
    // The request interrupt of a device is the consumer's from before it has the file.
    onChange: () => hotPlug.follow(host.journal.contexts(), new Set()),
    report: (event) => daemon.tell(event.kind, textOf(event)),
  });
  const socket = new HandOverSocket({
    path,
    consumers,
    peerOf,
    sendWithFds: (to, bytes, fds) => unixCalls.sendWithFds(fileOf(to), bytes, fds),
  });
  consumers.start();
  await socket.listen();
  return {
    askFor(device) {
      for (const { devices, consumers: theirs } of host.journal.contexts()) {
        if (!devices.some(({ key }) => key === device)) continue;
        for (const { container } of theirs) socket.askForRelease(container, device);
      }
    },
    async close() {
      consumers.stop();
      await socket.close();
    },
  };
}

function textOf(event: ConsumerEvent): string {
  switch (event.kind) {
    case 'handed-out': {
      const { pid, comm, uid, container } = event.to;
      return `context ${event.context} handed to ${comm} (pid ${pid}, uid ${uid}) for ${container}`;
    }
    case 'handed-on': {
      const names = event.to.map(({ pid, comm }) => `${comm} (pid ${pid})`).join(', ');
      return `context ${event.context} is still in use, by ${names}, which its consumer left behind`;
    }
    case 'taken-back': {
      const { context, tainted, troubles } = event.taken;
      const devices = tainted.length === 0 ? '' : `; tainted: ${tainted.join(', ')}`;
      const trouble = troubles.length === 0 ? '' : `; ${troubles.join('; ')}`;
      return `context ${context} taken back from ${event.from.comm} (pid ${event.from.pid})${devices}${trouble}`;
    }
  }
}
