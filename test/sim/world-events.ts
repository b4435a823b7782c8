/** What hardware, other processes and the kernel's failures do to the host, at random. */
import type { DeviceKey } from '../../src/base/ids.ts';
import { giveBack, plug, probeNative, steal, unplug } from '../../src/kernel/sim/events.ts';
import type { Machine } from '../../src/kernel/sim/machine.ts';
import type { SimDevice } from '../../src/kernel/sim/objects.ts';
import { ALL_OPS } from '../../src/kernel/uapi/index.ts';
import type { Chance } from './scenario.ts';

/** Who hears of events. */
export interface WorldOptions {
  /** Devices that events may happen to. */
  readonly claimed: ReadonlySet<string>;
  /** `device`: what we do about it is no disruption of ours. */
  happened(text: string, device: DeviceKey | null): void;
}

const NATIVE_DRIVER = 'ixgbevf';

/** Errnos of calls that are no ioctls. */
const PLAIN_ERRNOS: Readonly<Record<string, readonly string[]>> = {
  open: ['EMFILE', 'ENOENT', 'EACCES'],
  write: ['EBUSY', 'ENODEV', 'EINVAL'],
};

/** The world outside of the daemon. */
export class WorldEvents {
  readonly #machine: Machine;
  readonly #chance: Chance;
  readonly #options: WorldOptions;

  constructor(machine: Machine, chance: Chance, options: WorldOptions) {
    this.#machine = machine;
    this.#chance = chance;
    this.#options = options;
  }

  /** An event for a number from 35 to 89; it happens when it is called. */
  event(choice: number): () => void {
    const { claimed } = this.#options;
    const device = this.#chance.pick(this.#devices().filter(({ key }) => claimed.has(key)));
    if (choice < 45) return () => this.#unplug(device);
    if (choice < 55) return () => this.#plugAll();
    if (choice < 63) return () => this.#steal(device);
    if (choice < 70) return () => this.#giveAllBack();
    if (choice < 73) return () => this.#probeNative(device);
    return () => this.#failSome();
  }

  /** Everything is there again and nobody else has it. */
  restore(): void {
    this.#giveAllBack();
    this.#plugAll();
    for (const device of this.#devices()) {
      if (device.driver === NATIVE_DRIVER) device.driver = null;
    }
  }

  #devices(): readonly SimDevice[] {
    return [...this.#machine.hardware.devices.values()];
  }

  #unplug(device: SimDevice): void {
    if (!device.present || device.leaving || device.holders.length > 0) return;
    void unplug(this.#machine, device);
    const when = device.present ? ', once we let go' : '';
    this.#options.happened(`${device.key} is unplugged${when}`, device.key);
  }

  #plugAll(): void {
    for (const device of this.#devices()) {
      if (device.present) continue;
      plug(this.#machine.hardware, device);
      this.#options.happened(`${device.key} is plugged in`, device.key);
    }
  }

  #steal(device: SimDevice): void {
    if (!steal(device, { pid: 999, comm: 'dpdk', uid: 0 })) return;
    this.#options.happened(`${device.key} is taken by another process`, device.key);
  }

  #giveAllBack(): void {
    for (const device of this.#devices()) giveBack(device);
    this.#options.happened('other processes let go', null);
  }

  #probeNative(device: SimDevice): void {
    if (!probeNative(this.#machine.hardware, device, NATIVE_DRIVER)) return;
    this.#options.happened(`${device.key} gets its native driver`, device.key);
  }

  /** The n-th call from now fails, with an errno that this call is known to give. */
  #failSome(): void {
    const draw = this.#chance.below(1000);
    this.#machine.faults.failNth(1 + this.#chance.below(80), (call) => {
      const errnos =
        call in ALL_OPS
          ? Object.keys(ALL_OPS[call as keyof typeof ALL_OPS].errnos)
          : (PLAIN_ERRNOS[call.split(' ')[0] ?? ''] ?? []);
      const errno = errnos[draw % Math.max(1, errnos.length)] ?? null;
      if (errno !== null) this.#options.happened(`${call} fails: ${errno}`, null);
      return errno;
    });
  }
}
