/**
 * The loop that follows a config. Events only wake it: what counts is what the files say and what the
 * host is, read anew each time. One attempt at a time; a config that is not valid changes nothing.
 */
import type { Clock } from '../base/clock.ts';
import { type Attempt, applyAttempt, planAttempt } from '../engine/attempt.ts';
import type { ManagedHost } from '../engine/host.ts';
import { DEFAULT_OPTIONS } from '../plan/planner-options.ts';
import type { Plan } from '../plan/types.ts';
import type { Source } from '../source/files.ts';
import type { IssueList } from '../spec/issues.ts';
import { Intake } from './intake.ts';

/** How the loop paces itself; all times in milliseconds. */
export interface WatchTiming {
  /** A state of the files must stay the same this long before it is acted on. */
  readonly settleMs: number;
  /** What is gone from the files is removed only after it has been gone this long. */
  readonly removalGraceMs: number;
  /** The files and the host are looked at this often, whatever the events say. */
  readonly resyncMs: number;
}

/** Times that suit an operator's edits. */
export const DEFAULT_TIMING: WatchTiming = {
  settleMs: 500,
  removalGraceMs: 30_000,
  resyncMs: 10_000,
};

/** What the loop says as it goes. */
export type WatchEvent =
  | { readonly kind: 'config-invalid'; readonly issues: IssueList; readonly keeps: string | null }
  | { readonly kind: 'config-loaded'; readonly digest: string; readonly revision: string | null }
  | { readonly kind: 'attempted'; readonly attempt: Attempt }
  | { readonly kind: 'blocked'; readonly plan: Plan }
  | { readonly kind: 'converged'; readonly plan: Plan };

/** What the loop works with. */
export interface WatchDependencies {
  readonly host: ManagedHost;
  readonly clock: Clock;
  readonly timing: WatchTiming;
  readonly parallel: number;
  readonly signal: AbortSignal;
  /** Reads the files. */
  read(): Source;
  /** Resolves when something may have changed, or after the time, or when the signal aborts. */
  nap(ms: number): Promise<void>;
  report(event: WatchEvent): void;
}

const RETRY_MS_FIRST = 1000;
const RETRY_MS_MAX = 300_000;

/** Runs until the signal aborts. What is held then is the caller's to let go. */
export async function watchLoop(dependencies: WatchDependencies): Promise<void> {
  await new WatchLoop(dependencies).run();
}

class WatchLoop {
  readonly #deps: WatchDependencies;
  readonly #intake: Intake;
  #retryMs = RETRY_MS_FIRST;
  #said = '';

  constructor(dependencies: WatchDependencies) {
    this.#deps = dependencies;
    const { clock, signal, timing } = dependencies;
    this.#intake = new Intake({
      clock,
      signal,
      settleMs: timing.settleMs,
      read: () => dependencies.read(),
    });
  }

  async run(): Promise<void> {
    const { signal, timing } = this.#deps;
    while (!signal.aborted) {
      const settled = await this.#load();
      if (signal.aborted) return;
      const wait = settled ? await this.#attempt() : timing.settleMs;
      await this.#deps.nap(wait);
    }
  }

  /** Looks at the files. False: they are still changing. */
  async #load(): Promise<boolean> {
    const result = await this.#intake.look();
    switch (result.state) {
      case 'changing':
        return false;
      case 'same':
        if (result.back) this.#said = '';
        return true;
      case 'invalid': {
        const keeps = this.#intake.good?.digest ?? null;
        this.#deps.report({ kind: 'config-invalid', issues: result.issues, keeps });
        return true;
      }
      case 'loaded': {
        this.#retryMs = RETRY_MS_FIRST;
        this.#said = '';
        const { digest, revision } = result.loaded;
        this.#deps.report({ kind: 'config-loaded', digest, revision });
        return true;
      }
    }
  }

  /** One attempt with the last good config; returns how long there is nothing to do. */
  async #attempt(): Promise<number> {
    const { good, refused } = this.#intake;
    if (good === null) return this.#deps.timing.resyncMs;
    const { host, clock, timing, parallel, signal } = this.#deps;
    const { config, since } = good;
    // A file that was just deleted may be on its way back. Files that cannot be read now may be, too.
    const settled = clock.now() - since >= timing.removalGraceMs && refused === null;
    const options = { ...DEFAULT_OPTIONS, removals: settled ? 'now' : 'hold' } as const;
    const planned = planAttempt(host, config, options);
    if (planned.plan.steps.length === 0) {
      this.#sayIdle(planned.plan);
      return this.#waitFor(planned.plan, since);
    }
    const attempt = await applyAttempt(host, planned, config, { parallel, signal });
    this.#said = '';
    this.#deps.report({ kind: 'attempted', attempt });
    const failed = attempt.result.cells.some((cell) => cell.result !== 'applied');
    if (!failed && attempt.drift.length === 0) {
      this.#retryMs = RETRY_MS_FIRST;
      return 0;
    }
    const wait = this.#retryMs;
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS_MAX);
    return wait;
  }

  /** Until the next look, or until the grace of a removal ends, whichever comes first. */
  #waitFor(plan: Plan, since: number): number {
    const { clock, timing } = this.#deps;
    const left = since + timing.removalGraceMs - clock.now();
    const graceEnds = plan.waiting.length > 0 && left > 0;
    return graceEnds ? Math.min(left, timing.resyncMs) : timing.resyncMs;
  }

  /** Says a state once, not at every look. */
  #sayIdle(plan: Plan): void {
    const text = JSON.stringify([plan.blocked, plan.waiting, plan.untouched]);
    if (text === this.#said) return;
    this.#said = text;
    this.#deps.report({ kind: plan.blocked.length > 0 ? 'blocked' : 'converged', plan });
  }
}
