/** What a run of the simulation is asked, and what it comes to. */
import type { Hears } from './ears.ts';
import type { Invariant } from './invariants.ts';

/** An invariant that did not hold. */
export interface Violation {
  readonly invariant: Invariant | 'crash' | 'release';
  readonly step: number;
  readonly text: string;
}

/** What came of a run. */
export interface Verdict {
  readonly seed: number;
  readonly steps: number;
  readonly attempts: number;
  readonly restarts: number;
  readonly calls: number;
  readonly violations: readonly Violation[];
}

/** How a run goes. */
export interface SimulationOptions {
  readonly seed: number;
  readonly steps: number;
  readonly plant?: Invariant | undefined;
  /** The daemon is killed now and then. */
  readonly crashes?: boolean;
  /** Every container prefers tracking and has it switched on. */
  readonly tracked?: boolean;
  /** What the daemon hears of devices. At rest, one that is removed must then be released at once; absent: with the next look. */
  readonly hears?: Hears;
  readonly log?: (line: string) => void;
}
