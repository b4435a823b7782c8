/** One host under management: the kernel (or a model of it), what we hold there, and how it is looked at. */
import type { Clock } from '../base/clock.ts';
import { buildGraph } from '../graph/build.ts';
import type { Graph, KnownFacts, Observation } from '../graph/types.ts';
import { observe } from '../kernel/observe.ts';
import type { ObservationCache } from '../kernel/observe-cache.ts';
import type { Syscalls } from '../kernel/port.ts';
import type { CallWatch } from './calls.ts';
import type { Journal } from './journal.ts';
import { type FileKeeper, NO_KEEPER, type RunContext } from './run/context.ts';

/** What an attempt works on. */
export interface ManagedHost {
  readonly syscalls: Syscalls;
  readonly journal: Journal;
  /** Absent: files end with the process. */
  readonly keeper?: FileKeeper;
  readonly known: KnownFacts;
  /** Watches for calls that do not return. Absent: they are waited for without end. */
  readonly calls?: CallWatch;
  /** What observations of the host remember of each other. Absent: everything is read each time. */
  readonly cache?: ObservationCache;
  readonly clock: Clock;
  /** The name that `hosts` patterns are matched against; null: the machine's own. */
  readonly hostName: string | null;
  /** The pid whose open files are ours, and so hold nothing against us. */
  readonly ownPid: number;
}

/** Reads the host anew. Makes no writing call. */
export function observeHost(host: ManagedHost): {
  readonly observation: Observation;
  readonly graph: Graph;
} {
  const observation = observe(host.syscalls, {
    ...(host.hostName === null ? {} : { hostName: host.hostName }),
    ownPid: host.ownPid,
    held: host.journal.contexts(),
    known: host.known,
    stuck: host.calls?.list() ?? [],
    ...(host.cache === undefined ? {} : { cache: host.cache }),
  });
  return { observation, graph: buildGraph(observation) };
}

/** The hands of the engine on a host. Allocations of one context wait for each other. */
export function runContextOf(host: ManagedHost): RunContext {
  const tails = new Map<string, Promise<unknown>>();
  return {
    syscalls: host.syscalls,
    journal: host.journal,
    keeper: host.keeper ?? NO_KEEPER,
    clock: host.clock,
    calls: host.calls ?? null,
    exclusive(context, work) {
      const before = tails.get(context) ?? Promise.resolve();
      const mine = before.then(work, work);
      tails.set(
        context,
        mine.catch(() => undefined),
      );
      return mine;
    },
  };
}
