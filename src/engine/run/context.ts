/** What every runner works with, and the few things that several runners do. */
import { present } from '../../base/assert.ts';
import type { Clock } from '../../base/clock.ts';
import type { DeviceKey } from '../../base/ids.ts';
import type { HeldContext, HeldDevice, ObjectRef } from '../../graph/types.ts';
import { KernelError } from '../../kernel/call.ts';
import type { Fd, Syscalls } from '../../kernel/port.ts';
import type { StepFields, StepKind } from '../../steps/def.ts';
import type { CallWatch } from '../calls.ts';
import type { Journal } from '../journal.ts';

/**
 * Keeps open files beyond the end of the process, so that the next one has them. A file is kept before
 * anything is done with it, and let go before it is closed: ours must be the last close, because whoever
 * closes last waits for the reset.
 */
export interface FileKeeper {
  keep(fd: Fd): Promise<void>;
  letGo(fd: Fd): Promise<void>;
}

/** Files end with the process. */
export const NO_KEEPER: FileKeeper = {
  keep: async () => undefined,
  letGo: async () => undefined,
};

/** Has a file kept that was just opened, and does the first work on it; if either fails it is closed again. */
export async function withKept<T>(
  { keeper, syscalls }: RunContext,
  fd: Fd,
  work: () => Promise<T>,
): Promise<T> {
  try {
    await keeper.keep(fd);
    return await work();
  } catch (error) {
    try {
      await keeper.letGo(fd);
    } finally {
      await syscalls.slow.close(fd);
    }
    throw error;
  }
}

/** The hands of the engine: the kernel, the account of what is held, and time. */
export interface RunContext {
  readonly syscalls: Syscalls;
  readonly journal: Journal;
  readonly keeper: FileKeeper;
  readonly clock: Clock;
  /** Watches for calls that do not return; null: they are waited for without end. */
  readonly calls: CallWatch | null;
  /** Runs `work` while nobody else allocates or frees in the context: the kernel reuses ids at once. */
  exclusive<T>(context: string, work: () => Promise<T>): Promise<T>;
}

/** What a step did, where that is more than the step says: the HWPT that the kernel's answer chose. */
export interface StepDetail {
  readonly text: string | null;
  /** A HWPT that was allocated because every candidate was refused; a rollback frees it too. */
  readonly allocated: { readonly container: string; readonly hwpt: ObjectRef } | null;
}

/** Does one kind of step to the kernel and writes the outcome down. Throws KernelError or SyscallError. */
export type Runner<K extends StepKind> = (
  args: StepFields[K],
  run: RunContext,
) => Promise<StepDetail | undefined>;

/** The held context of that name; a step in another is a bug of the planner. */
export function heldContext(run: RunContext, name: string): HeldContext {
  return present(
    run.journal.contexts().find((context) => context.name === name),
    `context ${name}`,
  );
}

/** The iommufd file of a context. */
export function contextFd(run: RunContext, name: string): Fd {
  return heldContext(run, name).fd as Fd;
}

/** The held device of that key in a context. */
export function heldDevice(run: RunContext, context: string, key: DeviceKey): HeldDevice {
  const { devices } = heldContext(run, context);
  return present(
    devices.find((device) => device.key === key),
    `device ${key}`,
  );
}

/** The id behind a name that an earlier step has made. */
export function resolved<T extends number>(run: RunContext, context: string, ref: ObjectRef): T {
  return present(run.journal.resolve(context, ref), `object ${ref} of ${context}`) as T;
}

/** How a transient refusal is waited out. */
export interface RetryPolicy {
  readonly errnos: readonly string[];
  /** All attempts together end after this long, in milliseconds. */
  readonly totalMs: number;
  readonly firstDelayMs: number;
}

/** A reset may take up to 60 s before the kernel gives up on the device. */
export const WHILE_RESETTING: RetryPolicy = {
  errnos: ['EAGAIN', 'EBUSY'],
  totalMs: 70_000,
  firstDelayMs: 50,
};

/** Another thread inside an ioctl on the same object: gone within milliseconds, or real. */
export const WHILE_RACING: RetryPolicy = { errnos: ['EBUSY'], totalMs: 200, firstDelayMs: 10 };

const DELAY_MS_MAX = 2000;

/** Runs `attempt` again while the kernel gives one of the errnos, with growing delays, until the time is up. */
export async function retrying<T>(
  run: RunContext,
  policy: RetryPolicy,
  attempt: () => Promise<T>,
): Promise<T> {
  const start = run.clock.now();
  for (let delay = policy.firstDelayMs; ; delay = Math.min(delay * 2, DELAY_MS_MAX)) {
    try {
      return await attempt();
    } catch (error) {
      const transient = error instanceof KernelError && policy.errnos.includes(error.errno);
      if (!transient || run.clock.now() - start + delay > policy.totalMs) throw error;
    }
    await run.clock.sleep(delay);
  }
}
