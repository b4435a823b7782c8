/**
 * The calls that are in the kernel, and those that do not come back. Whoever waits for an action is told
 * when one of its calls is past its deadline; the action itself goes on, and whatever it does at last is
 * written down as if it had been quick. Not here: who leaves alone what a stuck call works on (plan/).
 */
import type { Clock } from '../base/clock.ts';
import type { DeviceKey } from '../base/ids.ts';
import type { StuckCall } from '../graph/types.ts';
import type { SlowSyscalls } from '../kernel/port.ts';
import { opOf } from '../kernel/uapi/index.ts';
import { formatLate } from '../plan/text.ts';
import type { Action } from '../steps/def.ts';
import { describeAction } from '../steps/index.ts';
import { deadlineOf } from './deadlines.ts';
import type { RunContext } from './run/context.ts';

/** What a status page and metrics show of calls that do not return. */
export interface StuckCalls {
  /** The oldest first. An action that goes on after a late return stays until it is over. */
  list(): readonly StuckCall[];
  /** Hears of every action that is over at last, until the returned function is called. */
  onReturn(listener: (returned: LateReturn) => void): () => void;
}

/** An action that was given up and is over now. */
export interface LateReturn {
  readonly call: StuckCall;
  /** What it failed with; null: it was done, and is in the journal. */
  readonly error: unknown;
}

/** A call that the caller no longer waits for. It may still return. */
export class StuckError extends Error {
  override readonly name = 'StuckError';
  readonly call: StuckCall;

  constructor(call: StuckCall) {
    super(formatLate(call));
    this.call = call;
  }
}

/** libuv's own number, where nobody sets UV_THREADPOOL_SIZE. */
const POOL_THREADS_DEFAULT = 4;

/** The half of libuv's threads that may be in blocking calls: the other half stays free for everything else. */
export function halfOfPool(env: Readonly<Record<string, string | undefined>>): number {
  const threads = Number(env['UV_THREADPOOL_SIZE'] ?? POOL_THREADS_DEFAULT);
  return Math.max(1, Math.floor((threads > 0 ? threads : POOL_THREADS_DEFAULT) / 2));
}

/** An action under way. `late` is the call for which it was given up. */
interface Watched {
  readonly action: Action;
  readonly giveUp: (call: string, since: number) => void;
  late: { readonly call: string; readonly since: number } | null;
}

/** Watches the calls of one host for as long as the process lives. */
export class CallWatch implements StuckCalls {
  /** How many actions may be in the kernel at once, stuck ones among them. */
  readonly most: number;
  readonly #clock: Clock;
  readonly #stuck = new Set<Watched>();
  /** Who has the exclusive right to a context, and who waits for it. */
  readonly #holders = new Map<string, Watched>();
  readonly #waiting = new Map<Watched, string>();
  readonly #listeners = new Set<(returned: LateReturn) => void>();

  constructor(clock: Clock, most: number) {
    this.#clock = clock;
    this.most = most;
  }

  /** How many actions are stuck. */
  get count(): number {
    return this.#stuck.size;
  }

  list(): readonly StuckCall[] {
    return [...this.#stuck].map((watched) => this.#described(watched));
  }

  onReturn(listener: (returned: LateReturn) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Does `work` with slow calls that have deadlines. Rejects with StuckError at the first that is past
   * it; `work` is not ended by that, because nothing could.
   */
  watch<T>(action: Action, run: RunContext, work: (run: RunContext) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const watched: Watched = {
        action,
        late: null,
        giveUp: (call, since) => {
          if (watched.late !== null) return;
          watched.late = { call, since };
          this.#stuck.add(watched);
          reject(new StuckError(this.#described(watched)));
          this.#giveUpWaiters(watched);
        },
      };
      const over = (error: unknown): void => this.#over(watched, error);
      work(this.#watchedRun(run, watched)).then(
        (result) => {
          over(null);
          resolve(result);
        },
        (error: unknown) => {
          over(error);
          reject(error);
        },
      );
    });
  }

  #over(watched: Watched, error: unknown): void {
    if (!this.#stuck.delete(watched)) return;
    const call = this.#described(watched);
    for (const listener of this.#listeners) listener({ call, error });
  }

  #described({ action, late }: Watched): StuckCall {
    const ageMs = this.#clock.now() - (late?.since ?? this.#clock.now());
    return {
      call: late?.call ?? '',
      action: describeAction(action),
      ...objectsOf(action),
      ageMs,
    };
  }

  #watchedRun(run: RunContext, watched: Watched): RunContext {
    return {
      ...run,
      syscalls: { ...run.syscalls, slow: this.#timed(run.syscalls.slow, watched) },
      exclusive: (context, work) => this.#exclusive(run, watched, context, work),
    };
  }

  #timed(slow: SlowSyscalls, watched: Watched): SlowSyscalls {
    const timed = async <T>(call: string, limitMs: number, make: () => Promise<T>): Promise<T> => {
      const since = this.#clock.now();
      const returned = new AbortController();
      void this.#clock.sleep(limitMs, returned.signal).then(() => {
        if (!returned.signal.aborted) watched.giveUp(call, since);
      });
      try {
        return await make();
      } finally {
        returned.abort();
      }
    };
    const closed = objectsOf(watched.action).device === null ? 'close' : 'close of a device';
    return {
      ioctl(fd, request, arg) {
        const call = opOf(request)?.name ?? 'ioctl';
        return timed(call, deadlineOf(call), () => slow.ioctl(fd, request, arg));
      },
      close: (fd) => timed('close', deadlineOf(closed), () => slow.close(fd)),
      writeText(path, text) {
        const call = `write to ${path.slice(path.lastIndexOf('/') + 1)}`;
        return timed(call, deadlineOf('write'), () => slow.writeText(path, text));
      },
    };
  }

  /** Whoever waits for a right that a stuck action has is as stuck as that. */
  #exclusive<T>(
    run: RunContext,
    watched: Watched,
    context: string,
    work: () => Promise<T>,
  ): Promise<T> {
    this.#waiting.set(watched, context);
    const holder = this.#holders.get(context);
    if (holder !== undefined && holder.late !== null) this.#giveUpWaiters(holder);
    return run.exclusive(context, async () => {
      this.#waiting.delete(watched);
      this.#holders.set(context, watched);
      try {
        return await work();
      } finally {
        this.#holders.delete(context);
      }
    });
  }

  #giveUpWaiters(holder: Watched): void {
    if (holder.late === null) return;
    for (const [waiter, context] of this.#waiting) {
      if (this.#holders.get(context) !== holder) continue;
      waiter.giveUp(`${holder.late.call} of another step`, holder.late.since);
    }
  }
}

/** What an action works on, and so what must be left alone while it does not end. */
function objectsOf({ args }: Action): {
  readonly device: DeviceKey | null;
  readonly context: string | null;
} {
  let device: DeviceKey | null = null;
  if ('device' in args) device = args.device;
  else if ('for' in args) device = args.for;
  return { device, context: 'context' in args ? args.context : null };
}
