/**
 * A running daemon, as it can be asked: the loop does the work, this keeps what is said of it. Not
 * here: how a question travels (socket/), what the loop decides (loop.ts).
 */
import type { Graph } from '../graph/types.ts';
import type { SourceEvent } from '../source/follow.ts';
import { Conditions } from './conditions.ts';
import type {
  Confirmation,
  DaemonControl,
  DaemonEvent,
  EventKind,
  HistoryEntry,
  PlannedConfig,
  RequestOutcome,
  SourceRevision,
  StatusDocument,
} from './control.ts';
import { containerFindings, type DaemonFacts, daemonFindings } from './findings.ts';
import type { Judgement } from './judgement.ts';
import { type LoopView, ReconcileLoop, type WatchDependencies, type WatchEvent } from './loop.ts';
import { headline, historyEntry, outcomeIn } from './said.ts';
import { attemptedOf, containerNames, statusDocument } from './status.ts';

/** What a daemon is made of beside its loop. */
export interface DaemonDependencies extends Omit<WatchDependencies, 'onView'> {
  readonly paths: readonly string[];
  readonly pid: number;
  readonly version: string;
  /** Milliseconds since 1970, for what people read. May jump; nothing is timed by it. */
  readonly wallMs: () => number;
  /** Why file events cannot be relied on; null: they can. */
  readonly watchDegraded: () => string | null;
  /** Calls that do not come back from the kernel, the oldest first; `sinceMs` in the time of the clock. */
  readonly stuck: () => readonly { readonly what: string; readonly sinceMs: number }[];
}

const HISTORY_MAX = 20;
/** Requests that are remembered; an older one is unknown. */
const REQUESTS_MAX = 256;
/** A look that has not come for this long after it was due means that the loop is stuck. */
const OVERDUE_MS = 60_000;

/** The daemon. */
export class Daemon implements DaemonControl {
  readonly #deps: DaemonDependencies;
  readonly #loop: ReconcileLoop;
  readonly #conditions = new Conditions();
  readonly #listeners = new Set<(event: DaemonEvent) => void>();
  /** Each request with the number of looks after which it is served. */
  readonly #requests = new Map<string, number>();
  #asked = 0;
  #history: readonly HistoryEntry[] = [];
  #applied: SourceRevision | null = null;
  #attempt: string | null = null;
  #judged: LoopView['judgements'] | null = null;

  constructor(dependencies: DaemonDependencies) {
    this.#deps = dependencies;
    this.#loop = new ReconcileLoop({
      ...dependencies,
      report: (event) => this.#heard(event),
      onView: (view) => this.#seen(view),
    });
  }

  /** Runs until the signal aborts. */
  run(): Promise<void> {
    return this.#loop.run();
  }

  status(): StatusDocument {
    const { pid, version, paths, clock, stuck } = this.#deps;
    const { view } = this.#loop;
    return statusDocument({
      host: view.graph?.host ?? 'unknown',
      pid,
      version,
      paths,
      view,
      conditions: this.#conditions,
      applied: this.#applied,
      stuck: stuck().map(({ what, sinceMs }) => ({ what, since: this.#wall(sinceMs) })),
      nextRun: view.nextAt === null ? null : this.#wall(Math.max(view.nextAt, clock.now())),
      history: this.#history,
    });
  }

  graph(): Graph | null {
    return this.#loop.view.graph;
  }

  plan(): PlannedConfig | null {
    const { plan, graph, loaded } = this.#loop.view;
    if (plan === null || graph === null || loaded === null) return null;
    const { digest, revision } = loaded;
    return { plan, graph, source: { digest, revision } };
  }

  reconcile(): string {
    this.#asked += 1;
    const id = `r${this.#asked}`;
    const { passes, nextAt } = this.#loop.view;
    // A look that is under way began before the request was made: it takes the next one.
    this.#requests.set(id, passes + (nextAt === null ? 2 : 1));
    for (const old of [...this.#requests.keys()].slice(0, -REQUESTS_MAX))
      this.#requests.delete(old);
    this.#say('requested', `asked to reconcile (${id})`);
    this.#deps.wakeup.wake({ kind: 'request' });
    return id;
  }

  outcomeOf(request: string): RequestOutcome {
    const due = this.#requests.get(request);
    if (due === undefined) return 'unknown';
    const { passes, isApplying, judgements, source } = this.#loop.view;
    if (passes < due || isApplying) return 'pending';
    if (this.isReady()) return 'ready';
    const waitsForUs =
      source.state === 'invalid' ||
      [...judgements.values()].some(
        (each) => each.state === 'suspended' || each.state === 'reported',
      );
    return waitsForUs || this.#conditions.isTrue('', 'Stalled') ? 'stalled' : 'pending';
  }

  suspend(by: string): void {
    this.#deps.wishes.suspend(by);
    this.#say('suspended', `suspended by ${by}`);
    this.#deps.wakeup.wake({ kind: 'files' });
  }

  resume(): void {
    this.#deps.wishes.resume();
    this.#say('resumed', 'resumed');
    this.#deps.wakeup.wake({ kind: 'request' });
  }

  confirm(confirmation: Confirmation): boolean {
    if (this.#loop.view.loaded?.digest !== confirmation.digest) return false;
    this.#deps.wishes.confirm(confirmation);
    this.#untaint(confirmation.containers);
    const { containers, removals } = confirmation;
    const words = [...containers, ...(removals === null ? [] : [`${removals} removals`])];
    this.#say('confirmed', `confirmed for this config: ${words.join(', ')}`);
    this.#deps.wakeup.wake({ kind: 'request' });
    return true;
  }

  /** Runs work while no look and no attempt is under way; a look follows it. */
  between<T>(work: () => Promise<T>): Promise<T> {
    return this.#loop.between(work);
  }

  /** What the loop knows now. */
  get view(): LoopView {
    return this.#loop.view;
  }

  /** Tells of something that happened beside the loop. */
  tell(kind: EventKind, text: string): void {
    this.#say(kind, text);
  }

  subscribe(listener: (event: DaemonEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  isHealthy(): boolean {
    const { isApplying, nextAt } = this.#loop.view;
    if (isApplying || nextAt === null) return true;
    return this.#deps.clock.now() - nextAt < OVERDUE_MS;
  }

  /** True while steps are in the kernel: sysfs may have to wait for their locks. */
  isApplying(): boolean {
    return this.#loop.view.isApplying;
  }

  isReady(): boolean {
    return this.#conditions.isTrue('', 'Ready');
  }

  /** Hears what following the files comes to. */
  heardOfSource({ kind, text }: SourceEvent): void {
    this.#say(kind, text);
  }

  #heard(event: WatchEvent): void {
    if (event.kind === 'attempt-started') this.#attempt = event.id;
    if (event.kind === 'attempted') this.#attempted(event);
    this.#deps.report(event);
    this.#say(event.kind, headline(event), outcomeIn(event));
    if (event.kind === 'attempted') this.#attempt = null;
  }

  #attempted(event: Extract<WatchEvent, { kind: 'attempted' }>): void {
    if (event.attempt.result.outcomes.length === 0) return;
    const entry = historyEntry(event, this.#now());
    this.#history = [entry, ...this.#history].slice(0, HISTORY_MAX);
  }

  /** A person has dealt with devices that came back from a consumer: they may be used again. */
  #untaint(containers: readonly string[]): void {
    for (const blocker of this.#loop.view.plan?.blocked ?? []) {
      if (blocker.kind !== 'tainted' || !containers.includes(blocker.container)) continue;
      this.#deps.host.journal.taint(blocker.device, null);
    }
  }

  /** Conditions follow from what is known; they are written when they change. */
  #seen(view: LoopView): void {
    const { wishes, watchDegraded } = this.#deps;
    const at = { time: this.#now(), digest: view.loaded?.digest ?? null };
    const facts: DaemonFacts = {
      judgements: view.judgements,
      source: view.source,
      isApplying: view.isApplying,
      suspendedBy: wishes.suspendedBy,
      watchDegraded: watchDegraded(),
    };
    const attempted = attemptedOf(view);
    const drifted = this.#conditions.isTrue('', 'Drifted');
    this.#conditions.update('', daemonFindings(facts), {
      ...at,
      digest: attempted?.digest ?? null,
    });
    // The rest of what is known changes more often than what is judged.
    if (view.judgements !== this.#judged) this.#seenContainers(view, at);
    this.#judged = view.judgements;
    // What was judged before new files came says nothing of them.
    if (this.isReady() && view.plan !== null) this.#applied = attempted;
    const condition = this.#conditions.of('').find(({ type }) => type === 'Drifted');
    if (!drifted && condition?.status === 'True') {
      this.#say('drifted', `the host has left what was applied: ${condition.message}`);
    }
  }

  #seenContainers(view: LoopView, at: { time: string; digest: string | null }): void {
    const names = new Set(containerNames(view));
    this.#conditions.keepOnly(new Set(['', ...names]));
    const { plan, judgements } = view;
    for (const { cell, containers } of plan?.cells ?? []) {
      const judgement: Judgement = judgements.get(cell) ?? { state: 'settled', drift: false };
      for (const name of containers) {
        this.#conditions.update(name, containerFindings(name, judgement), at);
      }
    }
  }

  #say(kind: EventKind, text: string, more: Pick<DaemonEvent, 'outcome'> = {}): void {
    const event: DaemonEvent = { at: this.#now(), kind, attempt: this.#attempt, text, ...more };
    for (const listener of this.#listeners) listener(event);
  }

  #now(): string {
    return this.#wall(this.#deps.clock.now());
  }

  /** A time of the clock as people read it: RFC 3339, UTC. */
  #wall(ms: number): string {
    const { clock, wallMs } = this.#deps;
    return new Date(wallMs() + ms - clock.now()).toISOString();
  }
}
