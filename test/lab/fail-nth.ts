/**
 * The kernel's own fault injection on this thread: the n-th place in the next call where an allocation
 * or a lookup could fail does fail. Source: Documentation/fault-injection/fault-injection.rst.
 */
import { closeSync, openSync, readSync, writeFileSync, writeSync } from 'node:fs';
import type { Syscalls } from '../../src/kernel/port.ts';

/** Makes calls of this thread fail on purpose. */
export class FailNth {
  readonly #fd = openSync('/proc/thread-self/fail-nth', 'r+');
  #call = -1;
  #nth = 0;
  #seen = 0;
  #reached = false;

  constructor() {
    for (const knob of ['ignore-gfp-wait', 'verbose']) {
      writeFileSync(`/sys/kernel/debug/failslab/${knob}`, knob === 'verbose' ? '0' : 'N');
    }
    writeFileSync('/sys/kernel/debug/fail_iommufd/verbose', '0');
  }

  /** Fails the n-th place of the call with this number, counted from now; n 0 counts calls only. */
  arm(call: number, nth: number): void {
    this.#call = call;
    this.#nth = nth;
    this.#seen = 0;
    this.#reached = false;
  }

  /** ioctls since `arm`. */
  get calls(): number {
    return this.#seen;
  }

  /** True once the place that was asked for was reached. */
  get reached(): boolean {
    return this.#reached;
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** The port with every ioctl on this thread, because the injection belongs to the thread. */
  around(native: Syscalls): Syscalls {
    const ioctl: Syscalls['ioctl'] = (fd, request, arg) => {
      const mine = this.#seen === this.#call && this.#nth > 0;
      this.#seen += 1;
      if (!mine) return native.ioctl(fd, request, arg);
      writeSync(this.#fd, String(this.#nth), 0);
      try {
        return native.ioctl(fd, request, arg);
      } finally {
        this.#reached = this.#left() === 0;
        writeSync(this.#fd, '0', 0);
      }
    };
    return {
      ...native,
      ioctl,
      slow: { ...native.slow, ioctl: async (fd, request, arg) => ioctl(fd, request, arg) },
    };
  }

  #left(): number {
    const buffer = Buffer.alloc(16);
    const length = readSync(this.#fd, buffer, 0, 16, 0);
    return Number.parseInt(buffer.toString('utf8', 0, length), 10);
  }
}
