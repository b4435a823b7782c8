/**
 * Consumers: who has been handed which context, until they end. A context goes out whole and comes back
 * when its last consumer has ended; whoever has a device file open by then is a consumer too, handed on
 * by the one before. Everything here happens between two looks of the loop, never during an attempt.
 */
import type { DeviceKey } from '../../base/ids.ts';
import { type ManagedHost, observeHost, runContextOf } from '../../engine/host.ts';
import { type TakenBack, takeBack } from '../../engine/take-back.ts';
import type { Consumer, Graph, HeldContext } from '../../graph/types.ts';
import { type ProcessFacts, readProcess } from '../../kernel/process.ts';
import { containersFor } from '../../spec/hosts.ts';
import { containerFindings } from '../findings.ts';
import type { LoopView } from '../loop.ts';
import { type Accounts, mayHave } from './access.ts';
import { describe, type HandOver, type Refusal, refusal } from './protocol.ts';

/** What happens to consumers. */
export type ConsumerEvent =
  | { readonly kind: 'handed-out'; readonly context: string; readonly to: Consumer }
  /** A consumer has ended, and others go on with its files. */
  | { readonly kind: 'handed-on'; readonly context: string; readonly to: readonly Consumer[] }
  | { readonly kind: 'taken-back'; readonly from: Consumer; readonly taken: TakenBack };

/** What consumers are looked after with. */
export interface ConsumersDependencies {
  readonly host: ManagedHost;
  readonly accounts: Accounts;
  view(): LoopView;
  /** Runs work between two looks of the loop, and has the host looked at afterwards. */
  between<T>(work: () => Promise<T>): Promise<T>;
  /** Calls `onEnd` once when the process ends; returns how to stop waiting, or null where it is gone already. */
  watchExit(pid: number, onEnd: () => void): (() => void) | null;
  /** Who has what has changed, and nothing was sent yet. */
  onChange(): void;
  report(event: ConsumerEvent): void;
}

/** What goes to a consumer. */
export interface Handed {
  readonly answer: HandOver;
  /** Files of ours, in the order of the indices in the answer. They stay ours. */
  readonly fds: readonly number[];
  /** It never arrived. */
  forget(): Promise<void>;
}

/** A message takes no more. Source: SCM_MAX_FD in include/net/scm.h. */
const FILES_MAX = 253;

/** Looks after the consumers of a host. */
export class Consumers {
  readonly #deps: ConsumersDependencies;
  readonly #watched = new Map<string, () => void>();

  constructor(dependencies: ConsumersDependencies) {
    this.#deps = dependencies;
  }

  /** Waits for the end of everybody whom the journal names: after a restart, some may have ended. */
  start(): void {
    for (const { consumers } of this.#deps.host.journal.contexts()) {
      for (const consumer of consumers) this.#watch(consumer);
    }
  }

  /** Stops waiting. Who has what stays in the journal. */
  stop(): void {
    for (const unwatch of this.#watched.values()) unwatch();
    this.#watched.clear();
  }

  /** Hands the container's context to a process, where its config lets it. */
  async handOver(container: string, pid: number): Promise<Handed | Refusal> {
    const { host, view, accounts, between } = this.#deps;
    const { loaded, graph } = view();
    const here = containersFor(loaded?.config ?? { containers: [] }, graph?.host ?? '');
    const spec = here.find(({ name, state }) => name === container && state === 'present');
    const asking = readProcess(host.syscalls, pid);
    // Whoever may not have it does not learn whether it is there.
    if (asking === null || !(await mayHave(asking, spec?.access ?? NOBODY, accounts))) {
      const who = asking === null ? `pid ${pid}` : `${asking.comm} (pid ${pid}, uid ${asking.uid})`;
      return refusal(
        'not-allowed',
        `${who} may not have a container '${container}'`,
        'name its user or group in `spec.access` of the container',
      );
    }
    if (spec === undefined) {
      return refusal(
        'no-such-container',
        `no container '${container}' is in the config of this host`,
        '`autodomain status` lists those that are',
      );
    }
    return between(async () => this.#give(container, asking));
  }

  #give(container: string, asking: ProcessFacts): Handed | Refusal {
    const { host, view } = this.#deps;
    const { journal } = host;
    const context = journal
      .contexts()
      .find(({ containers }) => containers.some(({ name }) => name === container));
    const described =
      context === undefined ? null : describe(view().graph?.host ?? '', context, container);
    const why = whyNotReady(container, view());
    if (context === undefined || described === null || why !== null) {
      return refusal(
        'not-ready',
        `container '${container}' is not ready: ${why ?? 'it is not there yet'}`,
        'wait for `autodomain status --wait=Ready`',
      );
    }
    if (described.fds.length > FILES_MAX) {
      return refusal(
        'too-many-files',
        `it has ${described.fds.length} files, and ${FILES_MAX} go into one message`,
        'split the container',
      );
    }
    const { pid, start, comm, uid } = asking;
    const consumer: Consumer = { pid, start, comm, uid, container };
    const others = context.consumers.filter((each) => !isSame(each, consumer));
    // Written down first: whoever continues after a crash must know that it may be out.
    this.#record(context.name, [...others, consumer]);
    this.#watch(consumer);
    this.#deps.report({ kind: 'handed-out', context: context.name, to: consumer });
    const forget = (): Promise<void> =>
      this.#deps.between(async () => {
        this.#unwatch(consumer);
        this.#remove(context.name, consumer);
      });
    return { ...described, forget };
  }

  #watch(consumer: Consumer): void {
    const key = keyOf(consumer);
    if (this.#watched.has(key)) return;
    const { host, watchExit, between } = this.#deps;
    const onEnd = (): void => {
      this.#watched.delete(key);
      void between(() => this.#ended(consumer));
    };
    const alive = readProcess(host.syscalls, consumer.pid)?.start === consumer.start;
    const unwatch = alive ? watchExit(consumer.pid, onEnd) : null;
    if (unwatch === null) onEnd();
    else this.#watched.set(key, unwatch);
  }

  #unwatch(consumer: Consumer): void {
    this.#watched.get(keyOf(consumer))?.();
    this.#watched.delete(keyOf(consumer));
  }

  async #ended(consumer: Consumer): Promise<void> {
    const { host, report } = this.#deps;
    for (const context of host.journal.contexts()) {
      if (!context.consumers.some((each) => isSame(each, consumer))) continue;
      if (context.consumers.length > 1) {
        this.#remove(context.name, consumer);
        continue;
      }
      const heirs = this.#heirs(context, consumer.container);
      if (heirs.length > 0) {
        this.#record(context.name, heirs);
        for (const heir of heirs) this.#watch(heir);
        report({ kind: 'handed-on', context: context.name, to: heirs });
        continue;
      }
      const taken = await takeBack(context.name, runContextOf(host));
      report({ kind: 'taken-back', from: consumer, taken });
    }
  }

  /** Other processes that have a device of the context open: they go on with what the consumer had. */
  #heirs(context: HeldContext, container: string): readonly Consumer[] {
    const { host } = this.#deps;
    const { graph } = observeHost(host);
    const pids = holdersOf(
      graph,
      context.devices.map(({ key }) => key),
    );
    return [...pids].flatMap((pid) => {
      const facts = readProcess(host.syscalls, pid);
      if (facts === null) return [];
      const { start, comm, uid } = facts;
      return [{ pid, start, comm, uid, container }];
    });
  }

  #remove(context: string, consumer: Consumer): void {
    const held = this.#deps.host.journal.contexts().find(({ name }) => name === context);
    if (held === undefined) return;
    this.#record(
      context,
      held.consumers.filter((each) => !isSame(each, consumer)),
    );
  }

  #record(context: string, consumers: readonly Consumer[]): void {
    this.#deps.host.journal.record(context, { kind: 'consumers-changed', consumers });
    this.#deps.onChange();
  }
}

const NOBODY = { users: [], groups: [] };

/** Why the container is not as its config says; null: it is. */
function whyNotReady(container: string, { plan, judgements }: LoopView): string | null {
  const cell = plan?.cells.find(({ containers }) => containers.includes(container))?.cell;
  const judgement = cell === undefined ? undefined : judgements.get(cell);
  if (judgement === undefined) return 'it is not there yet';
  if (judgement.state === 'settled') return null;
  const [ready] = containerFindings(container, judgement);
  return ready?.message || judgement.state;
}

function holdersOf(graph: Graph, keys: readonly DeviceKey[]): ReadonlySet<number> {
  return new Set(
    keys.flatMap((key) => graph.devices.get(key)?.holders.map(({ pid }) => pid) ?? []),
  );
}

function isSame(a: Consumer, b: Consumer): boolean {
  return keyOf(a) === keyOf(b);
}

function keyOf({ pid, start }: Consumer): string {
  return `${pid} ${start}`;
}
