/**
 * The loop that follows a config. Hints only wake it: what counts is what the files say and what the
 * host is, read anew each time. One attempt at a time; a config that is not valid changes nothing. Not
 * here: what is said of it (findings.ts, status.ts), who asks (control.ts).
 */
import type { Clock, MonotonicMs } from '../base/clock.ts';
import { type Attempt, applyAttempt, type Planned, planAttempt } from '../engine/attempt.ts';
import type { ManagedHost } from '../engine/host.ts';
import type { CellOutcome } from '../engine/outcome.ts';
import { formatCell } from '../engine/report.ts';
import { retryClassOf } from '../engine/retry.ts';
import type { Graph } from '../graph/types.ts';
import { onlyCells } from '../plan/cost.ts';
import { planHost } from '../plan/planner.ts';
import type { Plan, PlanOptions } from '../plan/types.ts';
import type { Source } from '../source/files.ts';
import type { IssueList } from '../spec/issues.ts';
import { Holds } from './holds.ts';
import { Intake, type Loaded } from './intake.ts';
import { fingerprintOf, type Judgement, judge, onlyLetsGo, stepsByCell } from './judgement.ts';
import type { Hint, Wakeup } from './wakeup.ts';
import type { Wishes } from './wishes.ts';

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

/** What is done about a host that has left what was applied. */
export type DriftPolicy = 'correct' | 'report';

/** What the loop says as it goes. */
export type WatchEvent =
  | { readonly kind: 'config-invalid'; readonly issues: IssueList; readonly keeps: string | null }
  | { readonly kind: 'config-loaded'; readonly digest: string; readonly revision: string | null }
  | { readonly kind: 'attempt-started'; readonly id: string; readonly plan: Plan }
  | {
      readonly kind: 'attempted';
      readonly id: string;
      readonly attempt: Attempt;
      readonly loaded: Loaded;
      readonly ms: number;
    }
  /** Nothing to do now, because something is in the way or waited for. */
  | {
      readonly kind: 'blocked';
      readonly plan: Plan;
      readonly judgements: ReadonlyMap<string, Judgement>;
    }
  | { readonly kind: 'converged'; readonly plan: Plan };

/** How the files stand to what is in force. */
export type SourceState =
  | { readonly state: 'none' }
  | { readonly state: 'ready' }
  | { readonly state: 'changing' }
  | { readonly state: 'busy'; readonly why: string }
  /** The last good config stays in force. */
  | { readonly state: 'invalid'; readonly digest: string; readonly issues: IssueList };

/** What the loop knows, for whoever is asked about it. Replaced, never changed. */
export interface LoopView {
  readonly loaded: Loaded | null;
  readonly source: SourceState;
  readonly plan: Plan | null;
  readonly graph: Graph | null;
  readonly judgements: ReadonlyMap<string, Judgement>;
  readonly isApplying: boolean;
  /** When the next look comes at the latest; null: a look is under way. */
  readonly nextAt: MonotonicMs | null;
  /** Looks that were finished. */
  readonly passes: number;
}

/** What the loop works with. */
export interface WatchDependencies {
  readonly host: ManagedHost;
  readonly clock: Clock;
  readonly timing: WatchTiming;
  readonly parallel: number;
  readonly drift: DriftPolicy;
  readonly signal: AbortSignal;
  readonly wakeup: Wakeup;
  readonly wishes: Wishes;
  /** Numbers from 0 up to 1, for the jitter of waits. */
  readonly random: () => number;
  /** Reads the files. */
  read(): Source;
  report(event: WatchEvent): void;
  /** Hears of every change of what the loop knows. */
  onView?(view: LoopView): void;
}

/** Follows one config on one host. */
export class ReconcileLoop {
  readonly #deps: WatchDependencies;
  readonly #intake: Intake;
  readonly #holds: Holds;
  /** Cells that were as this config says. */
  #settled = new Set<string>();
  #attempts = 0;
  /** Work for the time between two looks. */
  readonly #between: (() => Promise<void>)[] = [];
  #said = '';
  #view: LoopView = EMPTY_VIEW;

  constructor(dependencies: WatchDependencies) {
    this.#deps = dependencies;
    const { clock, timing, random } = dependencies;
    this.#holds = new Holds(random);
    this.#intake = new Intake({
      clock,
      settleMs: timing.settleMs,
      removalGraceMs: timing.removalGraceMs,
      read: () => dependencies.read(),
    });
  }

  /** What is known now. */
  get view(): LoopView {
    return this.#view;
  }

  /** Runs until the signal aborts. What is held then is the caller's to let go. */
  async run(): Promise<void> {
    const { signal, wakeup, clock } = this.#deps;
    let unserved: readonly Hint[] = [];
    while (!signal.aborted) {
      const hints = [...unserved, ...wakeup.take()];
      for (const work of this.#between.splice(0)) await work();
      const againMs = await this.#load();
      if (signal.aborted) return;
      // Files that keep changing do not hold up a device that somebody removes.
      const isDue = againMs === null || hints.some(({ kind }) => kind === 'devices');
      const idleMs = isDue ? await this.#pass(hints) : againMs;
      // What a person asked for waits for the files, and is not forgotten over them.
      unserved = isDue ? [] : hints.filter(({ kind }) => kind === 'request').slice(0, 1);
      const wait = Math.min(idleMs, againMs ?? idleMs);
      const passes = this.#view.passes + Number(isDue);
      this.#see({ nextAt: (clock.now() + wait) as MonotonicMs, passes });
      await wakeup.nap(wait, signal);
      this.#see({ nextAt: null });
    }
  }

  /** Runs work while no look and no attempt is under way; a look follows it. It never ends where the loop has. */
  between<T>(work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#between.push(() => work().then(resolve, reject));
      this.#deps.wakeup.wake({ kind: 'files' });
    });
  }

  /** Looks at the files. A number: they are still changing, and worth another look after as many milliseconds. */
  async #load(): Promise<number | null> {
    const result = await this.#intake.look();
    switch (result.state) {
      case 'changing':
        this.#see({ source: { state: 'changing' } });
        return result.againMs;
      case 'busy':
        this.#see({ source: { state: 'busy', why: result.who } });
        return null;
      case 'same':
        if (result.back) this.#said = '';
        if (this.#intake.refused === null) this.#see({ source: { state: 'ready' } });
        return null;
      case 'invalid': {
        const { issues } = result;
        const keeps = this.#intake.good?.digest ?? null;
        const digest = this.#intake.refused ?? '';
        this.#see({ source: { state: 'invalid', digest, issues } });
        this.#deps.report({ kind: 'config-invalid', issues, keeps });
        return null;
      }
      case 'loaded': {
        this.#holds.clear();
        this.#settled = new Set();
        this.#said = '';
        const { digest, revision } = result.loaded;
        // The plan before was for other files.
        this.#see({ loaded: result.loaded, source: { state: 'ready' }, plan: null });
        this.#deps.report({ kind: 'config-loaded', digest, revision });
        return null;
      }
    }
  }

  /** One look at the host, and one attempt where something is due. Returns how long there is nothing to do. */
  async #pass(hints: readonly Hint[]): Promise<number> {
    const { good } = this.#intake;
    if (good === null) return this.#deps.timing.resyncMs;
    this.#forget(hints);
    const planned = planAttempt(this.#deps.host, good.config, this.#planOptions(good));
    const isRequested = hints.some(({ kind }) => kind === 'request');
    if (isRequested) this.#holds.clear();
    this.#release(hints, planned.plan);
    const judgements = this.#judge(planned.plan, isRequested);
    this.#see({ plan: planned.plan, graph: planned.graph, judgements });
    const due = onlyCells(planned.plan, (cell) => judgements.get(cell)?.state === 'due');
    if (due.steps.length === 0) {
      this.#sayIdle(planned.plan, judgements);
      return this.#waitFor(planned.plan);
    }
    return this.#attempt(
      { ...planned, plan: onlyCells(planned.plan, (cell) => isMeant(judgements.get(cell))) },
      good,
    );
  }

  /** What an event is about is looked at anew, not remembered. */
  #forget(hints: readonly Hint[]): void {
    const { cache } = this.#deps.host;
    for (const hint of hints) {
      if (hint.kind !== 'devices') continue;
      if (hint.keys === null) cache?.invalidateAll();
      else for (const key of hint.keys) cache?.invalidate(key);
    }
  }

  #planOptions({ digest }: Loaded): PlanOptions {
    const { clock, wishes } = this.#deps;
    const settled = this.#intake.removalsSettled(clock.now());
    const confirmation = wishes.confirmationFor(digest);
    return {
      removals: settled ? 'now' : 'hold',
      removalsAllowed: confirmation?.removals ?? null,
      confirmed: confirmation?.containers ?? [],
    };
  }

  /** Devices that something happened to are tried again at once, and so is what has failed for good. */
  #release(hints: readonly Hint[], plan: Plan): void {
    const now = this.#deps.clock.now();
    for (const hint of hints) {
      if (hint.kind !== 'devices') continue;
      const { keys } = hint;
      for (const { cell, args } of plan.steps) {
        if (keys === null || ('device' in args && keys.includes(args.device))) {
          this.#holds.release(cell, now);
        }
      }
    }
  }

  #judge(plan: Plan, isRequested: boolean): ReadonlyMap<string, Judgement> {
    const judgements = judge(plan, {
      now: this.#deps.clock.now(),
      holds: this.#holds,
      settled: this.#settled,
      drift: this.#deps.drift,
      isRequested,
      isSuspended: this.#deps.wishes.suspendedBy !== null,
    });
    for (const [cell, { state }] of judgements) if (state === 'settled') this.#settled.add(cell);
    return judgements;
  }

  async #attempt(planned: Planned, loaded: Loaded): Promise<number> {
    const { host, clock, parallel, signal, wishes } = this.#deps;
    const confirmation = wishes.confirmationFor(loaded.digest);
    const corrections = new Set(
      [...stepsByCell(planned.plan)]
        .filter(([cell, steps]) => this.#settled.has(cell) && !onlyLetsGo(steps))
        .map(([cell]) => cell),
    );
    this.#attempts += 1;
    const id = `a${this.#attempts}`;
    const start = clock.now();
    this.#see({ isApplying: true });
    this.#deps.report({ kind: 'attempt-started', id, plan: planned.plan });
    const attempt = await applyAttempt(host, planned, loaded.config, { parallel, signal });
    wishes.spend(confirmation);
    this.#said = '';
    this.#note(attempt, loaded, corrections);
    this.#see({ isApplying: false, graph: attempt.after });
    this.#deps.report({ kind: 'attempted', id, attempt, loaded, ms: clock.now() - start });
    return 0;
  }

  /** Writes down what each cell waits for now. */
  #note(attempt: Attempt, loaded: Loaded, corrections: ReadonlySet<string>): void {
    const now = this.#deps.clock.now();
    const next = stepsByCell(planHost(loaded.config, attempt.after, this.#planOptions(loaded)));
    const drifted = new Map(attempt.drift.map(({ cell, text }) => [cell, text]));
    for (const outcome of attempt.result.cells) {
      const { cell } = outcome;
      const text = drifted.get(cell);
      const fingerprint = fingerprintOf(next.get(cell) ?? []);
      if (outcome.result === 'applied' && text === undefined) {
        this.#holds.applied(cell, corrections.has(cell), now);
      } else if (outcome.result === 'applied') {
        const failure = { fingerprint, retry: 'later' as const, text: `not as planned: ${text}` };
        this.#holds.failed(cell, failure, now);
      } else if (outcome.result !== 'interrupted') {
        const retry = outcome.result === 'stuck' ? 'later' : retryClassOf(errorOf(outcome));
        this.#holds.failed(cell, { fingerprint, retry, text: formatCell(outcome) }, now);
      }
    }
  }

  /** Until the next look, or until a grace or a back-off ends, whichever comes first. */
  #waitFor(plan: Plan): number {
    const { clock, timing } = this.#deps;
    const now = clock.now();
    const graceLeft = this.#intake.graceLeftMs(now);
    const holdLeft = (this.#holds.nextAt(now) ?? Number.POSITIVE_INFINITY) - now;
    const waits = [timing.resyncMs, holdLeft];
    if (plan.waiting.length > 0 && graceLeft > 0) waits.push(graceLeft);
    return Math.min(...waits);
  }

  /** Says a state once, not at every look. */
  #sayIdle(plan: Plan, judgements: ReadonlyMap<string, Judgement>): void {
    const states = [...judgements].map(([cell, { state }]) => [cell, state]);
    const text = JSON.stringify([plan.blocked, plan.waiting, plan.untouched, states]);
    if (text === this.#said) return;
    this.#said = text;
    const quiet = states.every(([, state]) => state === 'settled' || state === 'waiting');
    this.#deps.report(quiet ? { kind: 'converged', plan } : { kind: 'blocked', plan, judgements });
  }

  #see(change: Partial<LoopView>): void {
    this.#view = { ...this.#view, ...change };
    this.#deps.onView?.(this.#view);
  }
}

const EMPTY_VIEW: LoopView = {
  loaded: null,
  source: { state: 'none' },
  plan: null,
  graph: null,
  judgements: new Map(),
  isApplying: false,
  nextAt: null,
  passes: 0,
};

/** What an attempt is about: what is due, and what is there already and has to stay so. */
function isMeant(judgement: Judgement | undefined): boolean {
  switch (judgement?.state) {
    case 'due':
    case 'settled':
    case 'blocked':
      return true;
    default:
      return false;
  }
}

function errorOf(outcome: CellOutcome): unknown {
  return 'failed' in outcome ? outcome.failed.error : null;
}
