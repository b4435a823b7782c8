/**
 * Calls that fail or do not return on purpose: by name as the Host document says, or the n-th call of any
 * kind as a test says.
 */
import type { Clock } from '../../base/clock.ts';
import type { FaultDocument, HostDocument } from '../../spec/types.generated.ts';
import { SyscallError } from '../port.ts';

/** The errno that a call of that name is to give; null where it cannot fail. */
export type ErrnoFor = (call: string) => string | null;

interface Rule {
  readonly fault: FaultDocument;
  wait: number;
  left: number;
}

/** Decides which calls fail before the model answers them, and which take their time first. */
export class Faults {
  readonly #clock: Clock;
  readonly #failing: readonly Rule[];
  readonly #late: readonly Rule[];
  #countdown: { left: number; errno: ErrnoFor } | null = null;
  /** Lets the calls go that never return. */
  readonly #held = new Set<() => void>();

  constructor(host: HostDocument, clock: Clock) {
    this.#clock = clock;
    const rules = (host.simulation?.faults ?? []).map((fault) => ({
      fault,
      wait: (fault.nth ?? 1) - 1,
      left: fault.times ?? 1,
    }));
    this.#late = rules.filter(({ fault }) => isLate(fault));
    this.#failing = rules.filter(({ fault }) => !isLate(fault));
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
    const fault = next(this.#failing, call, device);
    if (fault?.errno !== undefined) throw new SyscallError(call, fault.errno, 'injected');
  }

  /** Resolves when a call that can sleep may go on; at once where nothing holds it. Throws SyscallError where it fails then. */
  async hold(call: string, device: string | null): Promise<void> {
    const fault = next(this.#late, call, device);
    if (fault === null) return;
    if (fault.neverReturns) {
      await new Promise<void>((resolve) => {
        this.#held.add(resolve);
      });
    } else {
      await this.#clock.sleep(fault.returnsAfterMs ?? 0);
    }
    if (fault.errno !== undefined) throw new SyscallError(call, fault.errno, 'injected');
  }

  /** How many calls are in the kernel for ever. */
  get waiting(): number {
    return this.#held.size;
  }

  /** Whatever holds the calls that never return is over: they go on. */
  release(): void {
    for (const resolve of this.#held) resolve();
    this.#held.clear();
  }
}

function isLate({ returnsAfterMs, neverReturns }: FaultDocument): boolean {
  return returnsAfterMs !== undefined || neverReturns === true;
}

/** The fault that this call meets. Every rule that names the call counts it. */
function next(rules: readonly Rule[], call: string, device: string | null): FaultDocument | null {
  for (const rule of rules) {
    const { fault } = rule;
    if (fault.call !== call || (fault.pci !== undefined && fault.pci !== device)) continue;
    if (rule.wait > 0) rule.wait -= 1;
    else if (rule.left > 0) {
      rule.left -= 1;
      return fault;
    }
  }
  return null;
}
