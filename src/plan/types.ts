/**
 * A plan as a value: steps, what stands in the way, and what must be true afterwards. Not here:
 * how it comes about (rules/), how it reads (format.ts).
 */
import type { DeviceKey, GroupId } from '../base/ids.ts';
import type { IovaRange } from '../base/iova.ts';
import type { DirtyState, Holder, StuckCall } from '../graph/types.ts';
import type { Place } from '../spec/config.ts';
import type { Disruption, Step } from '../steps/def.ts';

/** Something that keeps a cell from being applied. Expected trouble: a value, never an exception. */
export type Blocker = { readonly container: string } & BlockerCause;

/** The causes, each with what its sentence needs. The kind is a stable reason word. */
export type BlockerCause =
  | { readonly kind: 'kernel-feature-missing'; readonly feature: string; readonly release: string }
  | { readonly kind: 'device-missing'; readonly device: DeviceKey; readonly place: Place }
  | { readonly kind: 'no-iommu'; readonly device: DeviceKey }
  | { readonly kind: 'is-bridge'; readonly device: DeviceKey }
  | { readonly kind: 'unreadable'; readonly what: string; readonly errno: string }
  | { readonly kind: 'in-use'; readonly device: DeviceKey; readonly by: readonly Holder[] }
  | {
      readonly kind: 'group-in-use';
      readonly device: DeviceKey;
      readonly group: GroupId;
      readonly by: readonly Holder[];
    }
  | { readonly kind: 'native-driver'; readonly device: DeviceKey; readonly driver: string }
  | { readonly kind: 'no-driver'; readonly device: DeviceKey }
  | {
      readonly kind: 'other-vfio-driver';
      readonly device: DeviceKey;
      readonly driver: string;
      readonly wanted: string;
    }
  | { readonly kind: 'foreign-override'; readonly device: DeviceKey; readonly override: string }
  | { readonly kind: 'no-device-file'; readonly device: DeviceKey; readonly driver: string }
  | {
      readonly kind: 'group-not-viable';
      readonly device: DeviceKey;
      readonly group: GroupId;
      readonly mate: DeviceKey;
      readonly driver: string;
    }
  | {
      readonly kind: 'group-mate-unlisted';
      readonly device: DeviceKey;
      readonly group: GroupId;
      readonly mates: readonly DeviceKey[];
    }
  | {
      readonly kind: 'group-torn';
      readonly group: GroupId;
      readonly device: DeviceKey;
      readonly place: Place;
      readonly other: DeviceKey;
      readonly otherContainer: string;
      readonly otherPlace: Place;
    }
  | {
      readonly kind: 'firmware-region';
      readonly device: DeviceKey;
      readonly group: GroupId;
      readonly range: IovaRange;
    }
  | { readonly kind: 'msi-not-isolated'; readonly device: DeviceKey; readonly iommu: string }
  | {
      readonly kind: 'dirty-tracking-unsupported';
      readonly device: DeviceKey;
      readonly iommu: string | null;
      readonly by: 'iommu' | 'device' | 'either';
      readonly missing: string;
    }
  | { readonly kind: 'device-tracking-not-yet'; readonly device: DeviceKey }
  | { readonly kind: 'nesting-unsupported'; readonly device: DeviceKey; readonly iommu: string }
  | {
      readonly kind: 'iova-reserved';
      readonly device: DeviceKey;
      readonly allow: IovaRange;
      readonly reserved: IovaRange;
      readonly what: string;
    }
  | { readonly kind: 'huge-pages-needs-empty'; readonly devices: number }
  | {
      readonly kind: 'not-enough-devices';
      readonly place: Place;
      readonly wanted: number;
      readonly found: number;
      readonly passedOver: readonly { readonly device: DeviceKey; readonly why: string }[];
      readonly passedOverCount: number;
    }
  | { readonly kind: 'contradiction'; readonly context: string; readonly what: string }
  | { readonly kind: 'rename-onto-living'; readonly from: string }
  | {
      readonly kind: 'move-waits';
      readonly device: DeviceKey;
      readonly from: string;
    }
  | {
      readonly kind: 'too-many-removals';
      readonly removed: number;
      readonly managed: number;
      readonly limit: number;
    }
  | { readonly kind: 'stuck'; readonly calls: readonly StuckCall[] }
  | { readonly kind: 'protected' }
  | { readonly kind: 'needs-confirmation' };

/** A reason word of a blocker. */
export type BlockerKind = BlockerCause['kind'];

/** Something that must be true once a plan is applied; decided before, only compared after. */
export type Expectation =
  | {
      readonly kind: 'container';
      readonly cell: string;
      readonly container: string;
      readonly context: string;
      readonly allow: readonly IovaRange[];
      readonly hugePages: boolean;
    }
  | {
      readonly kind: 'container-gone';
      readonly cell: string;
      readonly container: string;
      readonly context: string;
    }
  | { readonly kind: 'context-gone'; readonly cell: string; readonly context: string }
  | {
      readonly kind: 'attached';
      readonly cell: string;
      readonly container: string;
      readonly context: string;
      readonly device: DeviceKey;
      /** What its HWPT must be able to do at least; null for an mdev, which has no HWPT. */
      readonly hwpt: { readonly dirtyTracking: DirtyState; readonly nesting: boolean } | null;
    }
  | { readonly kind: 'released'; readonly cell: string; readonly device: DeviceKey };

/** An expectation that the host does not meet. */
export interface Drift {
  readonly cell: string;
  readonly container: string | null;
  readonly device: DeviceKey | null;
  readonly text: string;
}

/** Totals of a plan. */
export interface PlanSummary {
  readonly steps: number;
  readonly blocked: number;
  /** The worst disruption of any step. */
  readonly disruption: Disruption;
  /** Detaches of devices. */
  readonly outages: number;
  /** Opens and closes of devices. */
  readonly resets: number;
  /** Moves of running groups. */
  readonly replaces: number;
  readonly kernelCalls: number;
}

/** What a container tracks and why it is not what somebody could expect; said, never hidden. */
export interface PlanNote {
  readonly container: string;
  readonly text: string;
}

/** A plan, without the digests of what it was made from; those are the caller's. */
export interface Plan {
  readonly host: string;
  readonly bootId: string | null;
  readonly summary: PlanSummary;
  readonly steps: readonly Step[];
  readonly blocked: readonly Blocker[];
  readonly notes: readonly PlanNote[];
  readonly expects: readonly Expectation[];
  /** Containers with a removal that waits for its grace to end: plan again then. */
  readonly waiting: readonly string[];
  /** Containers of this host that are as they should be. */
  readonly untouched: readonly string[];
  /** All containers that the plan is about, with their cell. */
  readonly cells: readonly { readonly cell: string; readonly containers: readonly string[] }[];
}

/** What a caller allows beyond the config. */
export interface PlanOptions {
  /** `now`: absent things are removed within the guards. `hold`: their removal waits (grace of the watcher). */
  readonly removals: 'now' | 'hold';
  /** How many devices may be removed by absence; null: max(1, half of the managed ones). */
  readonly removalsAllowed: number | null;
  /** Containers whose deletion or outage a person confirmed. */
  readonly confirmed: readonly string[];
}
