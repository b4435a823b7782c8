/**
 * The request interrupt of every device that we hold for ourselves: whoever unbinds or removes a device
 * sleeps in the kernel until it is closed, and this is how the kernel asks for it. A device has room for
 * one eventfd, so it is ours only while no consumer holds the device; a consumer's device is asked for
 * over its socket, by the hook `onConsumerRequest` that a uevent leads to.
 * Not here: letting go. The loop does it, because the observation shows that the device is on its way out.
 */
import { type DeviceKey, isBdf } from '../base/ids.ts';
import type { HeldContext } from '../graph/types.ts';
import { KernelError } from '../kernel/call.ts';
import type { Fd, Syscalls } from '../kernel/port.ts';
import type { KernelEvent } from '../kernel/uevent.ts';
import { armRequest, disarmRequest } from '../kernel/vfio.ts';

/** An eventfd that somebody listens to. */
export interface SignalLine {
  readonly fd: Fd;
  close(): void;
}

/** What a watch works with. */
export interface DeviceWatchDependencies {
  readonly syscalls: Syscalls;
  /** Opens an eventfd; signals are heard until it is closed, many at once as one. */
  openSignalLine(onSignal: () => void): SignalLine;
  /** The kernel asks for a device that we hold. Comes again every ten seconds until it is closed. */
  onRequest(device: DeviceKey): void;
  /** A device that a consumer holds is on its way out: the consumer is to be asked. */
  onConsumerRequest(device: DeviceKey): void;
}

/** A device, by the open file that the eventfd is on. Without a line: the device takes none. */
interface Armed {
  readonly fd: Fd;
  readonly line: SignalLine | null;
}

/** Keeps the request interrupts in step with what is held. */
export class DeviceWatch {
  readonly #deps: DeviceWatchDependencies;
  readonly #armed = new Map<DeviceKey, Armed>();
  readonly #handedOut = new Set<DeviceKey>();

  constructor(dependencies: DeviceWatchDependencies) {
    this.#deps = dependencies;
  }

  /** Devices whose request would be heard. */
  get armed(): readonly DeviceKey[] {
    return [...this.#armed].filter(([, { line }]) => line !== null).map(([device]) => device);
  }

  /**
   * Brings the interrupts in step with what is held now: called after whatever opens or closes devices.
   * A file that is closed takes its interrupt along, so no call is made on its number, which may be
   * another file's by now. `opened`: devices that were opened since the last time, if only for another
   * file of the same device under the same number.
   */
  follow(contexts: readonly HeldContext[], opened: ReadonlySet<DeviceKey> = new Set()): void {
    const held = new Map(
      contexts.flatMap(({ devices }) => devices.map(({ key, fd }) => [key, fd])),
    );
    for (const [device, { fd }] of [...this.#armed]) {
      if (held.get(device) !== fd || opened.has(device)) this.#forget(device);
    }
    const theirs = new Set(
      contexts.flatMap(({ consumers, devices }) =>
        consumers.length === 0 ? [] : devices.map(({ key }) => key),
      ),
    );
    for (const device of [...this.#handedOut]) {
      if (!theirs.has(device)) this.#handedOut.delete(device);
    }
    for (const device of theirs) {
      if (this.#handedOut.has(device)) continue;
      this.disarm(device);
      this.#handedOut.add(device);
    }
    for (const [device, fd] of held) {
      if (!this.#handedOut.has(device)) this.arm(device, fd as Fd);
    }
  }

  /**
   * Listens for the request of a device that is bound. An mdev has none at the index of PCI functions;
   * what a device refuses is not asked for again: its uevents are heard all the same.
   */
  arm(device: DeviceKey, fd: Fd): void {
    if (!isBdf(device) || this.#armed.get(device)?.fd === fd) return;
    this.#forget(device);
    const line = this.#deps.openSignalLine(() => this.#deps.onRequest(device));
    try {
      armRequest(this.#deps.syscalls, fd, line.fd);
      this.#armed.set(device, { fd, line });
    } catch (error) {
      line.close();
      if (!(error instanceof KernelError)) throw error;
      this.#armed.set(device, { fd, line: null });
    }
  }

  /** Leaves the interrupt to a consumer that is about to get the device. */
  disarm(device: DeviceKey): void {
    const armed = this.#armed.get(device);
    if (armed?.line) disarmRequest(this.#deps.syscalls, armed.fd);
    this.#forget(device);
  }

  /** Passes on what uevents say about devices that consumers hold: their device file went. */
  heard(events: readonly KernelEvent[]): void {
    for (const event of events) {
      if (event.kind !== 'uevent') continue;
      const { action, subsystem, device } = event.uevent;
      if (action !== 'remove' || subsystem !== 'vfio-dev' || device === null) continue;
      if (this.#handedOut.has(device)) this.#deps.onConsumerRequest(device);
    }
  }

  /** Stops listening. What is armed in the kernel ends with the devices. */
  close(): void {
    for (const device of [...this.#armed.keys()]) this.#forget(device);
  }

  #forget(device: DeviceKey): void {
    this.#armed.get(device)?.line?.close();
    this.#armed.delete(device);
  }
}
