/** Calls that fail on purpose: by name as the Host document says, or the n-th call of any kind as a test says. */
import type { HostDocument } from '../../spec/types.generated.ts';
import { SyscallError } from '../port.ts';

/** The errno that a call of that name is to give; null where it cannot fail. */
export type ErrnoFor = (call: string) => string | null;

/** Decides which calls fail before the model answers them. */
export class Faults {
  readonly #rules: {
    call: string;
    pci: string | null;
    wait: number;
    left: number;
    errno: string;
  }[];
  #countdown: { left: number; errno: ErrnoFor } | null = null;

  constructor(host: HostDocument) {
    this.#rules = (host.simulation?.faults ?? []).map(({ call, pci, nth, times, errno }) => ({
      call,
      pci: pci ?? null,
      wait: (nth ?? 1) - 1,
      left: times ?? 1,
      errno,
    }));
  }

  /** The n-th system call from now on fails once; 1 is the next. */
  failNth(n: number, errno: string | ErrnoFor): void {
    this.#countdown = { left: n, errno: typeof errno === 'string' ? () => errno : errno };
  }

  /** Takes `failNth` back; true where its call had come. */
  disarm(): boolean {
    const fired = this.#countdown === null;
    this.#countdown = null;
    return fired;
  }

  /** Throws SyscallError where this call is to fail. */
  check(call: string, device: string | null): void {
    if (this.#countdown !== null) {
      this.#countdown.left -= 1;
      if (this.#countdown.left === 0) {
        const errno = this.#countdown.errno(call);
        this.#countdown = null;
        if (errno !== null) throw new SyscallError(call, errno, 'injected');
      }
    }
    for (const rule of this.#rules) {
      if (rule.call !== call || (rule.pci !== null && rule.pci !== device)) continue;
      if (rule.wait > 0) rule.wait -= 1;
      else if (rule.left > 0) {
        rule.left -= 1;
        throw new SyscallError(call, rule.errno, 'injected');
      }
    }
  }
}
