/**
 * The union of steps and the contract that each kind fulfils. A step names objects by reference,
 * because kernel ids do not exist before apply. Not here: what a step does to the kernel; that
 * is in engine/run.
 */
import type { Bdf, DeviceKey } from '../base/ids.ts';
import type { IovaRange } from '../base/iova.ts';
import type { Draft } from '../graph/draft.ts';
import type { Attachment, DeletionPolicy, ObjectRef } from '../graph/types.ts';

/** What a step does to running DMA: nothing; may stall it (replace); resets a device; stops it (detach). */
export type Disruption = 'none' | 'brief' | 'reset' | 'outage';

/** Properties that a HWPT is allocated with and keeps for life. */
export interface HwptFlags {
  readonly dirtyTracking: boolean;
  readonly nesting: boolean;
}

/** The arguments of each kind of step. */
export interface StepFields {
  'rename-container': {
    readonly context: string;
    readonly from: string;
    readonly to: string;
    /** The context's new name where it belongs to the container alone. */
    readonly toContext: string;
  };
  'open-context': { readonly context: string };
  'bind-driver': { readonly device: Bdf; readonly driver: string };
  'release-driver': { readonly device: Bdf; readonly driver: string };
  'open-device': { readonly context: string; readonly device: DeviceKey };
  'alloc-ioas': {
    readonly context: string;
    readonly container: string;
    readonly ioas: ObjectRef;
    readonly deletion: DeletionPolicy;
  };
  'set-huge-pages': {
    readonly context: string;
    readonly container: string;
    readonly ioas: ObjectRef;
    readonly hugePages: boolean;
  };
  'allow-iovas': {
    readonly context: string;
    readonly container: string;
    readonly ioas: ObjectRef;
    readonly ranges: readonly IovaRange[];
    readonly before: readonly IovaRange[];
  };
  'alloc-hwpt': {
    readonly context: string;
    readonly container: string;
    readonly ioas: ObjectRef;
    readonly hwpt: ObjectRef;
    readonly flags: HwptFlags;
    /** The device it is allocated for: aperture and snooping derive from its IOMMU. */
    readonly for: Bdf;
    readonly iommu: string | null;
  };
  'attach-device': {
    readonly context: string;
    readonly container: string;
    readonly device: DeviceKey;
    /** Tried in this order; EINVAL means the next. More than one only for a group that is idle. */
    readonly candidates: readonly [ObjectRef, ...ObjectRef[]];
    /** What to allocate where the kernel refuses every candidate; null: then the step fails. */
    readonly otherwise: {
      readonly ioas: ObjectRef;
      readonly hwpt: ObjectRef;
      readonly flags: HwptFlags;
      readonly iommu: string | null;
    } | null;
    /** Set for a replace: what the device and its group mates are on now. */
    readonly replaces: Attachment | null;
    /** Attached mates of its IOMMU group, which the same replace moves. */
    readonly alsoMoves: readonly DeviceKey[];
  };
  'set-dirty-tracking': {
    readonly context: string;
    readonly container: string;
    readonly hwpt: ObjectRef;
    readonly active: boolean;
  };
  'detach-device': {
    readonly context: string;
    readonly device: DeviceKey;
    readonly from: Attachment;
  };
  'destroy-hwpt': {
    readonly context: string;
    readonly container: string;
    readonly hwpt: ObjectRef;
  };
  'destroy-ioas': {
    readonly context: string;
    readonly container: string;
    readonly ioas: ObjectRef;
  };
  'close-device': { readonly context: string; readonly device: DeviceKey };
  'close-context': { readonly context: string };
}

/** A kind of step. */
export type StepKind = keyof StepFields;

/** What a step of one kind is, before it has its place in a plan. */
export interface ActionOf<K extends StepKind> {
  readonly kind: K;
  readonly args: StepFields[K];
}

/** A step without its place in a plan: enough to describe, predict, run and undo it. */
export type Action = { [K in StepKind]: ActionOf<K> }[StepKind];

/** Where an action stands in a plan. */
export interface StepPlace {
  /** `s1`, `s2` ... in the order of the plan. */
  readonly id: string;
  /** The unit of success and rollback: named after its first container. */
  readonly cell: string;
  readonly container: string | null;
  readonly why: string;
  /** Steps with the same lane run one after another. */
  readonly lane: string;
  /** Ids of the steps that must be done before. */
  readonly after: readonly string[];
  /** It lets go of a device that is being removed from the host: no failure of its cell keeps it from that, or takes it back. */
  readonly isRemoval?: true;
}

/** A step of a plan. */
export type Step = Action & StepPlace;

/** What is known of a kind of step without a kernel. */
export interface StepDef<K extends StepKind> {
  /** The step in words: verb, object, target. The only place where it becomes English. */
  describe(args: StepFields[K]): string;
  /** What it does to running DMA. */
  disruption(args: StepFields[K]): Disruption;
  /** System calls that it makes when all goes well. */
  kernelCalls(args: StepFields[K]): number;
  /** Changes the draft as the kernel would change the host. */
  predict(args: StepFields[K], draft: Draft): void;
  /** The action that takes it back; null where nothing can. */
  undo(args: StepFields[K]): Action | null;
}

/** Declares the definition of one kind; exists so that the argument types follow from the kind. */
export function defineStep<K extends StepKind>(_kind: K, def: StepDef<K>): StepDef<K> {
  return def;
}
