/**
 * The desired state after reading: total objects with every default applied and every claim
 * carrying its place in the files. Not here: YAML, and what is live.
 */
import type { Bdf, MdevUuid } from '../base/ids.ts';
import type { IovaRange } from '../base/iova.ts';

/** Where something stands in the config; line and column count from 1, columns in UTF-16 units. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** One config: all containers of all paths, ordered by name, whatever host they are for. */
export interface Config {
  readonly containers: readonly ContainerSpec[];
}

/** A container as the operator wants it. */
export interface ContainerSpec {
  readonly name: string;
  readonly place: Place;
  readonly labels: Readonly<Record<string, string>>;
  /** Host name patterns (`*` matches any run of characters); null: every host. */
  readonly hosts: readonly string[] | null;
  /** Name of its iommufd context: `spec.iommufd`, or its own name. */
  readonly context: string;
  readonly access: AccessSpec;
  readonly dirtyTracking: DirtyTrackingSpec;
  /** HWPTs are allocated as nesting parents. */
  readonly nesting: boolean;
  readonly iova: IovaSpec;
  readonly claims: readonly Claim[];
  readonly driver: DriverSpec;
  readonly groupMates: 'block' | 'accept';
  readonly deletion: 'allow' | 'confirm' | 'protect';
  /** Earlier names of this container. */
  readonly formerly: readonly string[];
  readonly state: 'present' | 'absent';
}

/** Who besides root may be handed the files of a container: names or numbers, sorted. */
export interface AccessSpec {
  readonly users: readonly string[];
  readonly groups: readonly string[];
}

/** Which dirty tracking a container needs and who has to be able to do it. */
export interface DirtyTrackingSpec {
  readonly mode: 'required' | 'preferred' | 'none';
  readonly by: 'iommu' | 'device' | 'either';
  readonly active: boolean;
  readonly place: Place;
}

/** Limits on the IOVA space of a container. */
export interface IovaSpec {
  readonly allow: readonly IovaRange[];
  readonly hugePages: boolean;
}

/** Which VFIO driver devices are put on, and whether a driverless device may be taken. */
export interface DriverSpec {
  /** A driver name, or `auto`: the best `vfio_pci:` alias. */
  readonly name: string;
  readonly take: 'never' | 'unbound';
}

/** One entry of `devices`. */
export type Claim =
  | { readonly kind: 'pci'; readonly pci: Bdf; readonly place: Place }
  | { readonly kind: 'mdev'; readonly mdev: MdevUuid; readonly place: Place }
  | {
      readonly kind: 'select';
      readonly select: Selector;
      readonly count: number;
      readonly place: Place;
    };

/** Properties that a selected device has; an absent one matches every device. */
export interface Selector {
  /** PCI vendor id, four hex digits in lower case. */
  readonly vendor?: string;
  /** PCI device id, four hex digits in lower case. */
  readonly device?: string;
  /** PCI class as a hex prefix of two, four or six digits in lower case. */
  readonly class?: string;
  readonly numaNode?: number;
  /** Only VFs of this physical function. */
  readonly pf?: Bdf;
  /** Only VFs with an index in this inclusive range. */
  readonly vf?: { readonly first: number; readonly last: number };
}
