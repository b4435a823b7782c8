/** What the daemon hears of devices in a run of the simulation: the kernel's uevents, or its request for a device alone. */
import type { DeviceKey } from '../../src/base/ids.ts';
import { DeviceWatch } from '../../src/daemon/device-watch.ts';
import type { Wakeup } from '../../src/daemon/wakeup.ts';
import type { ManagedHost } from '../../src/engine/host.ts';
import { unplug } from '../../src/kernel/sim/events.ts';
import type { Machine } from '../../src/kernel/sim/machine.ts';
import { concernedBy } from '../../src/kernel/uevent.ts';
import type { SimClock } from './clock.ts';
import type { Chance } from './scenario.ts';

/** How a run hears; `nothing`: devices are found with the next look. */
export const HEARS = ['uevents', 'requests', 'nothing'] as const;

/** What a run hears. */
export type Hears = (typeof HEARS)[number];

/** The ears of one life of the daemon. */
export class Ears {
  readonly #host: ManagedHost;
  readonly #watch: DeviceWatch | null;
  readonly #deafen: () => void;

  constructor(hears: Hears, machine: Machine, host: ManagedHost, wakeup: Wakeup) {
    this.#host = host;
    const wake = (keys: readonly DeviceKey[] | null): void =>
      wakeup.wake({ kind: 'devices', keys });
    this.#watch =
      hears === 'requests'
        ? new DeviceWatch({
            syscalls: host.syscalls,
            openSignalLine: (onSignal) => machine.openSignalLine(onSignal),
            onRequest: (device) => wake([device]),
            onConsumerRequest: () => undefined,
          })
        : null;
    this.#deafen =
      hears === 'uevents'
        ? machine.listen((uevent) => {
            const keys = concernedBy([{ kind: 'uevent', uevent }]);
            if (keys === null || keys.length > 0) wake(keys);
          })
        : () => undefined;
  }

  /** After an attempt, and when a life begins. */
  follow(): void {
    this.#watch?.follow(this.#host.journal.contexts());
  }

  /** The process is gone, and its files with it. */
  end(): void {
    this.#deafen();
  }
}

/** Resets of a group and its mates, and the daemon's own work, come on top of what is asked of a release. */
const AT_ONCE_MS = 1000;

/** Removes a device that is held, at rest; returns it if it is still held a second later. */
export async function slowToRelease(
  machine: Machine,
  clock: SimClock,
  chance: Chance,
): Promise<DeviceKey | null> {
  const held = [...machine.hardware.devices.values()].filter(
    ({ bound, pci, leaving }) => bound !== null && pci !== null && leaving === null,
  );
  if (held.length === 0) return null;
  const device = chance.pick(held);
  void unplug(machine, device);
  await clock.advance(AT_ONCE_MS);
  return device.leaving === null ? null : device.key;
}
