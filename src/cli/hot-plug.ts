/**
 * What the kernel says about devices, as hints for the loop: its uevents, and its request for a device
 * that somebody unbinds or removes. Only on the running kernel; a model says nothing unasked.
 */

import type { DeviceKey } from '../base/ids.ts';
import { DeviceWatch } from '../daemon/device-watch.ts';
import type { Wakeup } from '../daemon/wakeup.ts';
import type { HeldContext } from '../graph/types.ts';
import { SyscallError, type Syscalls } from '../kernel/port.ts';
import { concernedBy } from '../kernel/uevent.ts';

/** The kernel's hints, as long as they are open. */
export interface HotPlug {
  /** Says what is held now, and what of it was opened since the last time, so that the kernel can ask for it. Called after every attempt. */
  follow(contexts: readonly HeldContext[], opened: ReadonlySet<DeviceKey>): void;
  /** Calls `onEnd` once when a process ends; null: it has ended already. */
  watchExit(pid: number, onEnd: () => void): (() => void) | null;
  close(): Promise<void>;
}

/** For a model of a host. */
export const NO_HOT_PLUG: HotPlug = {
  follow: () => undefined,
  watchExit: () => null,
  close: async () => undefined,
};

/** Wakes the loop for every device that the kernel says something about. `onTrouble` hears in a sentence why uevents cannot be heard; requests still are. */
export async function openHotPlug(
  syscalls: Syscalls,
  wakeup: Wakeup,
  {
    onTrouble,
    onConsumerRequest,
  }: {
    readonly onTrouble: (message: string) => void;
    /** A device that a consumer has is on its way out. */
    readonly onConsumerRequest: (device: DeviceKey) => void;
  },
): Promise<HotPlug> {
  const { Poller } = await import('../kernel/native/poll.ts');
  const { openSignalLine } = await import('../kernel/native/eventfd.ts');
  const { listenToUevents } = await import('../kernel/native/uevents.ts');
  const { openPidfd, watchExit } = await import('../kernel/native/pidfd.ts');
  const poller = new Poller();
  const watch = new DeviceWatch({
    syscalls,
    openSignalLine: (onSignal) => openSignalLine(poller, onSignal),
    onRequest: (device) => wakeup.wake({ kind: 'devices', keys: [device] }),
    onConsumerRequest,
  });
  let stop = (): void => undefined;
  try {
    stop = listenToUevents(poller, (events) => {
      watch.heard(events);
      const keys = concernedBy(events);
      if (keys === null || keys.length > 0) wakeup.wake({ kind: 'devices', keys });
    });
  } catch (error) {
    onTrouble(`kernel uevents cannot be heard (${(error as Error).message})`);
  }
  return {
    follow: (contexts, opened) => watch.follow(contexts, opened),
    watchExit(pid, onEnd) {
      try {
        return watchExit(poller, openPidfd(pid), onEnd);
      } catch (error) {
        if (error instanceof SyscallError && error.errno === 'ESRCH') return null;
        throw error;
      }
    },
    async close() {
      watch.close();
      stop();
      await poller.close();
    },
  };
}
