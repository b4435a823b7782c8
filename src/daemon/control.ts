/**
 * What can be asked of a running daemon, whoever asks: the socket, a signal, a test. The reconcile
 * loop fulfils it; nothing here knows how a question travels.
 */
import type { DirtyState, Graph } from '../graph/types.ts';
import type { Plan } from '../plan/types.ts';

/** Conditions of the daemon and of each container. */
export const CONDITION_TYPES = [
  'Ready',
  'Reconciling',
  'Stalled',
  'Drifted',
  'Suspended',
  'SourceReady',
  'WatchDegraded',
] as const;

/** A condition. Reason words are stable; messages may change. */
export type ConditionType = (typeof CONDITION_TYPES)[number];

/** One condition, as Kubernetes writes them. */
export interface Condition {
  readonly type: ConditionType;
  readonly status: 'True' | 'False' | 'Unknown';
  /** One word in CamelCase. */
  readonly reason: string;
  /** A sentence for the operator; empty where the reason says it all. */
  readonly message: string;
  /** RFC 3339, UTC. */
  readonly lastTransitionTime: string;
  /** The config that it is about; null before the first one. */
  readonly observedDigest: string | null;
}

/** A state of the files: their digest, and the git commit where one can be told. */
export interface SourceRevision {
  /** `sha256:<hex>`. */
  readonly digest: string;
  readonly revision: string | null;
}

/** A device of a container. `pci` or `mdev` names it. */
export interface DeviceStatus {
  readonly pci?: string;
  readonly mdev?: string;
  readonly state: 'attached' | 'bound' | 'missing' | 'leaving';
  /** Id of its HWPT; null for an mdev and for a device that is not attached. */
  readonly hwpt: number | null;
  /** Who records its writes: the IOMMU, the device itself, or nobody. */
  readonly tracking: 'iommu' | 'device' | 'none';
}

/** A container as it is. */
export interface ContainerStatus {
  readonly name: string;
  readonly conditions: readonly Condition[];
  readonly hwpts: readonly { readonly id: number; readonly dirtyTracking: DirtyState }[];
  readonly devices: readonly DeviceStatus[];
}

/** A call that does not come back from the kernel. It is never repeated on top of itself. */
export interface StuckCall {
  /** The call and its object, such as `close 0000:3b:00.2`. */
  readonly what: string;
  /** RFC 3339, UTC. */
  readonly since: string;
}

/** One attempt that did something. */
export interface HistoryEntry {
  /** Unique in the life of the daemon; on every log line of the attempt. */
  readonly id: string;
  /** RFC 3339, UTC. */
  readonly at: string;
  readonly digest: string;
  readonly revision: string | null;
  readonly result: 'applied' | 'failed';
  readonly steps: number;
  readonly ms: number;
  /** One line: `3 containers: 2 ready, 1 rolled back (...)`. */
  readonly text: string;
}

/** The answer to `status`, and the document behind `-o json`. */
export interface StatusDocument {
  readonly formatVersion: '1.0';
  readonly kind: 'Status';
  readonly host: string;
  readonly daemon: {
    readonly pid: number;
    readonly version: string;
    readonly conditions: readonly Condition[];
    /** Calls that are in the kernel past their deadline, the oldest first. */
    readonly stuck: readonly StuckCall[];
  };
  readonly source: {
    /** Absolute, so that whoever asks from another directory finds the same files. */
    readonly paths: readonly string[];
    readonly attempted: SourceRevision | null;
    readonly applied: SourceRevision | null;
  };
  readonly containers: readonly ContainerStatus[];
  /** When the host is looked at again at the latest; RFC 3339, UTC. */
  readonly nextRun: string | null;
  /** The last twenty attempts that did something, the newest first. */
  readonly history: readonly HistoryEntry[];
}

/** What came of a `reconcile` request. */
export type RequestOutcome = 'pending' | 'ready' | 'stalled' | 'unknown';

/** What can happen. Stable words, which metrics count; a new one is a line here and in schema/event.v1.json. */
export const EVENT_KINDS = [
  'config-loaded',
  'config-invalid',
  'attempt-started',
  'attempted',
  'blocked',
  'converged',
  /** The host was found to differ from what was applied, with nothing asked for. */
  'drifted',
  /** A timed look found news that no event had told of. */
  'found-by-resync',
  'suspended',
  'resumed',
  'confirmed',
  /** Somebody asked for an attempt now. */
  'requested',
  /** A device came, went, or changed its driver. */
  'host-changed',
  /** A process was handed the files of a container, handed them on, or gave them back by ending. */
  'handed-out',
  'handed-on',
  'taken-back',
  'watch-degraded',
  'watch-restored',
] as const;

/** A kind of event. */
export type EventKind = (typeof EVENT_KINDS)[number];

/** Something that happened, for `/v1/events`, the log and the metrics. */
export interface DaemonEvent {
  /** RFC 3339, UTC. */
  readonly at: string;
  readonly kind: EventKind;
  /** Id of the attempt that it belongs to; null outside of one. */
  readonly attempt: string | null;
  /** One line for a person. */
  readonly text: string;
  /** Only with `attempted`: what the attempt came to. */
  readonly outcome?: Pick<HistoryEntry, 'result' | 'steps' | 'ms'>;
}

/** What a person confirmed: one config, once. */
export interface Confirmation {
  /** The digest that was looked at; another one is not approved by it. */
  readonly digest: string;
  /** Containers whose deletion or outage is meant. */
  readonly containers: readonly string[];
  /** How many devices may go by absence; null: as the guard says. */
  readonly removals: number | null;
}

/** A plan with what it was made from. */
export interface PlannedConfig {
  readonly plan: Plan;
  readonly graph: Graph;
  /** The config in force: the last one that was valid. */
  readonly source: SourceRevision;
}

/** A running daemon. */
export interface DaemonControl {
  status(): StatusDocument;
  /** The live graph as it was last observed; null before the first observation. */
  graph(): Graph | null;
  /** What would be done now for the config in force; null before there is one. */
  plan(): PlannedConfig | null;
  /** Asks for an attempt now; the id can be asked for with `outcomeOf`. */
  reconcile(): string;
  /** `unknown`: an id that was never given, or too long ago. */
  outcomeOf(request: string): RequestOutcome;
  /** Nothing is applied until `resume`; observations go on. */
  suspend(by: string): void;
  resume(): void;
  /** False: the digest is not the one that is attempted now. */
  confirm(confirmation: Confirmation): boolean;
  /** Hears every event until the returned function is called. */
  subscribe(listener: (event: DaemonEvent) => void): () => void;
  /** The loop turns. */
  isHealthy(): boolean;
  /** Everything that the last valid config asks for is so. */
  isReady(): boolean;
}
