/**
 * A daemon without the loop's timing: the real source, planner, engine and simulated host behind
 * `DaemonControl`, one attempt whenever it is asked for. It has the states of the real one (suspended,
 * stalled, drifted, invalid files), reached as there: by files, blockers and faults.
 */
import { resolve } from 'node:path';
import type {
  Condition,
  ConditionType,
  Confirmation,
  ContainerStatus,
  DaemonControl,
  DaemonEvent,
  DeviceStatus,
  HistoryEntry,
  PlannedConfig,
  RequestOutcome,
  StatusDocument,
} from '../../src/daemon/control.ts';
import { observeHost } from '../../src/engine/host.ts';
import { formatSummary } from '../../src/engine/report.ts';
import { idOf } from '../../src/graph/refs.ts';
import type { BoundDevice, Context, Graph, LiveContainer } from '../../src/graph/types.ts';
import { explainBlocker } from '../../src/plan/blockers.ts';
import { summaryOf } from '../../src/plan/format-text.ts';
import type { Plan } from '../../src/plan/types.ts';
import { readSource, type Source } from '../../src/source/files.ts';
import { readConfig } from '../../src/spec/read-config.ts';
import type { HostDocument } from '../../src/spec/types.generated.ts';
import { World } from './world.ts';

const HISTORY_MAX = 20;

/** One daemon over one model of a host. */
export class FakeDaemon implements DaemonControl {
  readonly world: World;
  readonly #paths: readonly string[];
  readonly #listeners = new Set<(event: DaemonEvent) => void>();
  readonly #requests = new Map<string, RequestOutcome>();
  readonly #since = new Map<string, Pick<Condition, 'status' | 'reason' | 'lastTransitionTime'>>();
  #confirmed: Confirmation | null = null;
  #suspendedBy: string | null = null;
  #invalid: string | null = null;
  #attempted: Source | null = null;
  #applied: Source | null = null;
  #graph: Graph | null = null;
  #plan: Plan | null = null;
  #failure: string | null = null;
  #history: readonly HistoryEntry[] = [];
  #attempts = 0;
  #turns: Promise<void> = Promise.resolve();

  constructor(document: HostDocument, paths: readonly string[]) {
    this.world = new World(document);
    this.#paths = paths.map((path) => resolve(path));
  }

  /** One turn of the loop: read, observe, plan, and apply unless suspended. */
  turn(): Promise<void> {
    this.#turns = this.#turns.then(() => this.#turn());
    return this.#turns;
  }

  status(): StatusDocument {
    return {
      formatVersion: '1.0',
      kind: 'Status',
      host: this.#graph?.host ?? 'node-7',
      daemon: {
        pid: process.pid,
        version: '0.1.0',
        conditions: this.#conditions(),
        stuck: [],
      },
      source: {
        paths: this.#paths,
        attempted: this.#attempted && revisionOf(this.#attempted),
        applied: this.#applied && revisionOf(this.#applied),
      },
      containers: this.#containers(),
      nextRun: null,
      history: this.#history,
    };
  }

  graph(): Graph | null {
    return this.#graph;
  }

  plan(): PlannedConfig | null {
    const [plan, graph, source] = [this.#plan, this.#graph, this.#attempted];
    if (plan === null || graph === null || source === null) return null;
    return { plan, graph, source: revisionOf(source) };
  }

  reconcile(): string {
    const id = `r-${this.#requests.size + 1}`;
    this.#requests.set(id, 'pending');
    this.#emit({ kind: 'requested', attempt: null, text: `attempt ${id} was asked for` });
    void this.turn().then(() => {
      this.#requests.set(id, this.isReady() ? 'ready' : 'stalled');
    });
    return id;
  }

  outcomeOf(request: string): RequestOutcome {
    return this.#requests.get(request) ?? 'unknown';
  }

  suspend(by: string): void {
    this.#suspendedBy = by;
    this.#emit({ kind: 'suspended', attempt: null, text: `suspended by ${by}` });
  }

  resume(): void {
    this.#suspendedBy = null;
    this.#emit({ kind: 'resumed', attempt: null, text: 'resumed' });
    void this.turn();
  }

  confirm(confirmation: Confirmation): boolean {
    if (confirmation.digest !== this.#attempted?.digest) return false;
    this.#confirmed = confirmation;
    this.#emit({ kind: 'confirmed', attempt: null, text: 'confirmed' });
    return true;
  }

  subscribe(listener: (event: DaemonEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** How many listen; a client that went away must not be among them. */
  get listeners(): number {
    return this.#listeners.size;
  }

  isHealthy(): boolean {
    return true;
  }

  isReady(): boolean {
    return this.#conditions().some(({ type, status }) => type === 'Ready' && status === 'True');
  }

  /** Says something to whoever listens; tests of streams need many events. */
  emit(text: string): void {
    this.#emit({ kind: 'host-changed', attempt: null, text });
  }

  async #turn(): Promise<void> {
    const source = readSource(this.#paths);
    const { config } = readConfig(source.files, source.issues);
    if (config === null) {
      this.#invalid = source.digest;
      this.#emit({ kind: 'config-invalid', attempt: null, text: 'the config is not valid' });
      return;
    }
    this.#invalid = null;
    this.#attempted = source;
    const mine = this.#confirmed?.digest === source.digest ? this.#confirmed : null;
    const options = {
      confirmed: mine?.containers ?? [],
      removalsAllowed: mine?.removals ?? null,
    };
    const planned = this.world.plan(config, options);
    this.#plan = planned.plan;
    this.#graph = planned.graph;
    if (this.#suspendedBy !== null || planned.plan.steps.length === 0) {
      this.#settle(source, planned.plan);
      return;
    }
    this.#attempts += 1;
    const id = `a-${this.#attempts}`;
    const done = await this.world.apply(config, options);
    const text = formatSummary(done.plan, done.result, done.drift);
    const failed = done.result.cells.some((cell) => cell.result !== 'applied');
    this.#failure = failed ? text : null;
    const result = failed ? 'failed' : 'applied';
    const outcome = { result, steps: done.result.outcomes.length, ms: 12 } as const;
    const { digest, revision } = source;
    const entry = { id, at: now(), digest, revision, ...outcome, text };
    this.#history = [entry, ...this.#history].slice(0, HISTORY_MAX);
    this.#emit({ kind: 'attempted', attempt: id, text, outcome });
    const after = this.world.plan(config, options);
    this.#plan = after.plan;
    this.#graph = observeHost(this.world.host).graph;
    this.#settle(source, after.plan);
  }

  #settle(source: Source, plan: Plan): void {
    const text = summaryOf(plan);
    if (plan.blocked.length > 0) this.#emit({ kind: 'blocked', attempt: null, text });
    else if (plan.steps.length === 0) {
      this.#applied = source;
      this.#failure = null;
      this.#emit({ kind: 'converged', attempt: null, text });
    }
  }

  #emit(event: Omit<DaemonEvent, 'at'>): void {
    for (const listener of this.#listeners) listener({ at: now(), ...event });
  }

  #conditions(): readonly Condition[] {
    const blocked = this.#plan?.blocked ?? [];
    const first = blocked[0];
    const why = this.#failure ?? (first === undefined ? '' : explainBlocker(first).text);
    const converged = this.#plan?.steps.length === 0 && blocked.length === 0;
    const ready = converged && this.#failure === null && this.#invalid === null;
    const suspended = this.#suspendedBy !== null;
    return [
      this.#condition('Ready', ready, ready ? 'Converged' : this.#reason(), why),
      this.#condition('Stalled', blocked.length > 0, blocked.length > 0 ? 'Blocked' : 'No', why),
      this.#condition(
        'Suspended',
        suspended,
        suspended ? 'Asked' : 'No',
        suspended ? `by ${this.#suspendedBy}` : '',
      ),
      this.#condition(
        'SourceReady',
        this.#attempted !== null && this.#invalid === null,
        this.#invalid === null ? 'Read' : 'Invalid',
        this.#invalid === null ? '' : 'the last good config stays in force',
      ),
    ];
  }

  #reason(): string {
    if (this.#failure !== null) return 'CellFailed';
    return this.#plan === null ? 'NotYetAttempted' : 'Blocked';
  }

  #condition(
    type: ConditionType,
    holds: boolean,
    reason: string,
    message: string,
    of = 'daemon',
  ): Condition {
    const status = holds ? 'True' : 'False';
    const key = `${of} ${type}`;
    const before = this.#since.get(key);
    const same = before?.status === status && before.reason === reason;
    const since = same ? before.lastTransitionTime : now();
    this.#since.set(key, { status, reason, lastTransitionTime: since });
    const observedDigest = this.#attempted?.digest ?? null;
    return { type, status, reason, message, lastTransitionTime: since, observedDigest };
  }

  #containers(): readonly ContainerStatus[] {
    const graph = this.#graph;
    const plan = this.#plan;
    if (graph === null || plan === null) return [];
    const live = new Map(
      [...graph.contexts.values()].flatMap((context) =>
        [...context.containers.values()].map((each) => [each.name, { context, each }] as const),
      ),
    );
    const names = new Set([...plan.cells.flatMap(({ containers }) => containers), ...live.keys()]);
    return [...names].sort().map((name) => {
      const blocker = plan.blocked.find(({ container }) => container === name);
      const ready = plan.untouched.includes(name) && blocker === undefined;
      const message = blocker === undefined ? '' : explainBlocker(blocker).text;
      const reason = ready ? 'Converged' : 'Blocked';
      const found = live.get(name);
      return {
        name,
        conditions: [this.#condition('Ready', ready, reason, message, name)],
        hwpts: found === undefined ? [] : hwptsOf(found.each),
        devices: found === undefined ? [] : devicesOf(found.context, found.each),
      };
    });
  }
}

function hwptsOf({ hwpts }: LiveContainer): ContainerStatus['hwpts'] {
  return [...hwpts.values()].map(({ ref, dirtyTracking }) => ({
    id: idOf(ref) ?? 0,
    dirtyTracking,
  }));
}

function devicesOf(context: Context, container: LiveContainer): readonly DeviceStatus[] {
  const mine = [...context.devices.values()].filter(
    ({ attachment }) => attachment?.container === container.name,
  );
  return mine.map((device) => statusOf(device, container));
}

function statusOf({ key, attachment }: BoundDevice, container: LiveContainer): DeviceStatus {
  const hwpt = attachment === null ? undefined : container.hwpts.get(attachment.pt);
  const tracks = hwpt !== undefined && hwpt.dirtyTracking !== 'none';
  return {
    ...(key.includes(':') ? { pci: key } : { mdev: key }),
    state: attachment === null ? 'bound' : 'attached',
    hwpt: hwpt === undefined ? null : idOf(hwpt.ref),
    tracking: tracks ? 'iommu' : 'none',
  };
}

function revisionOf({ digest, revision }: Source): {
  readonly digest: string;
  readonly revision: string | null;
} {
  return { digest, revision };
}

function now(): string {
  return new Date().toISOString();
}
