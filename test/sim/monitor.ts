/**
 * Listens at the seam: what each system call did to which device, as the kernel answered it. Nothing
 * of the engine's own account is believed here.
 */
import type { DeviceKey } from '../../src/base/ids.ts';
import type { Fd, IoctlArg, Syscalls } from '../../src/kernel/port.ts';
import type { Machine } from '../../src/kernel/sim/machine.ts';
import { opOf } from '../../src/kernel/uapi/index.ts';

/** Something that a call did to a device. */
export interface Effect {
  readonly kind: 'opened' | 'closed' | 'attached' | 'replaced' | 'detached' | 'refused-replace';
  readonly device: DeviceKey;
}

/** The port with a listener. */
export class Monitor {
  readonly syscalls: Syscalls;
  /** Effects since somebody last took them. */
  #effects: Effect[] = [];
  readonly #machine: Machine;
  readonly #deviceOf = new Map<Fd, DeviceKey>();

  constructor(machine: Machine) {
    this.#machine = machine;
    const port = machine.syscalls;
    this.syscalls = {
      ...port,
      open: (path) => this.#opened(path, port.open(path)),
      ioctl: (fd, request, arg) => {
        const done = this.#before(fd, request);
        return this.#after(done, () => port.ioctl(fd, request, arg));
      },
      slow: {
        ...port.slow,
        ioctl: (fd, request, arg) => this.#slowIoctl(port, fd, request, arg),
        close: (fd) => this.#close(port, fd),
      },
    };
  }

  /** What happened since the last time. */
  take(): readonly Effect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  #opened(path: string, fd: Fd): Fd {
    const cdev = /^\/dev\/vfio\/devices\/(.+)$/.exec(path)?.[1];
    const device = [...this.#machine.hardware.devices.values()].find((each) => each.cdev === cdev);
    if (cdev !== undefined && device) this.#deviceOf.set(fd, device.key);
    return fd;
  }

  async #slowIoctl(port: Syscalls, fd: Fd, request: number, arg: IoctlArg): Promise<number> {
    const effect = this.#before(fd, request);
    try {
      const answer = await port.slow.ioctl(fd, request, arg);
      if (effect) this.#effects.push(effect);
      return answer;
    } catch (error) {
      this.#refused(effect);
      throw error;
    }
  }

  #after(effect: Effect | null, work: () => number): number {
    try {
      const answer = work();
      if (effect) this.#effects.push(effect);
      return answer;
    } catch (error) {
      this.#refused(effect);
      throw error;
    }
  }

  #refused(effect: Effect | null): void {
    if (effect?.kind === 'replaced') this.#effects.push({ ...effect, kind: 'refused-replace' });
  }

  async #close(port: Syscalls, fd: Fd): Promise<void> {
    const key = this.#deviceOf.get(fd);
    const bound = key !== undefined && this.#machine.hardware.devices.get(key)?.bound?.fd === fd;
    await port.slow.close(fd);
    if (bound) this.#effects.push({ kind: 'closed', device: key });
    this.#deviceOf.delete(fd);
  }

  /** What the call will have done if it succeeds. */
  #before(fd: Fd, request: number): Effect | null {
    const key = this.#deviceOf.get(fd);
    const device = key === undefined ? undefined : this.#machine.hardware.devices.get(key);
    if (!device) return null;
    const attached = device.group?.attached.has(device) || device.ioas !== null;
    switch (opOf(request)?.name) {
      case 'VFIO_DEVICE_BIND_IOMMUFD':
        return { kind: 'opened', device: device.key };
      case 'VFIO_DEVICE_ATTACH_IOMMUFD_PT':
        return { kind: attached ? 'replaced' : 'attached', device: device.key };
      case 'VFIO_DEVICE_DETACH_IOMMUFD_PT':
        return attached ? { kind: 'detached', device: device.key } : null;
      default:
        return null;
    }
  }
}
