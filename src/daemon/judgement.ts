/**
 * What is to be done about each cell of a plan now: apply it, or wait, and for what. A decision over
 * values; the loop carries it out and the status shows it.
 */
import type { Blocker, Plan } from '../plan/types.ts';
import type { Step, StepKind } from '../steps/def.ts';
import type { Hold, Holds } from './holds.ts';

/** Where a cell stands. `drift`: it had reached what the config says, and has left it again. */
export type Judgement = { readonly drift: boolean } /** It is what the config says. */ & (
  | { readonly state: 'settled' }
  /** Its steps are applied now. */
  | { readonly state: 'due' }
  | { readonly state: 'blocked'; readonly blockers: readonly Blocker[] }
  /** What is gone from the files goes when its grace has passed. */
  | { readonly state: 'waiting' }
  | { readonly state: 'held'; readonly hold: Hold }
  /** Drift is reported, not corrected. */
  | { readonly state: 'reported'; readonly steps: readonly Step[] }
  | { readonly state: 'suspended'; readonly steps: readonly Step[] }
);

/** What the loop knows beside the plan. */
export interface Circumstances {
  readonly now: number;
  readonly holds: Holds;
  /** Cells that were settled under this config, by the containers they had. */
  readonly settled: ReadonlySet<string>;
  readonly drift: 'correct' | 'report';
  /** A person asked for it: what is only reported otherwise is corrected. */
  readonly isRequested: boolean;
  readonly isSuspended: boolean;
}

/** Judges every cell of the plan, by cell. */
export function judge(plan: Plan, around: Circumstances): ReadonlyMap<string, Judgement> {
  const blockedCells = new Map<string, Blocker[]>();
  const cellOf = new Map<string, string>();
  for (const { cell, containers } of plan.cells) {
    for (const name of containers) cellOf.set(name, cell);
  }
  for (const blocker of plan.blocked) {
    const cell = cellOf.get(blocker.container) ?? blocker.container;
    blockedCells.set(cell, [...(blockedCells.get(cell) ?? []), blocker]);
  }
  const waiting = new Set(plan.waiting.map((name) => cellOf.get(name) ?? name));
  const steps = stepsByCell(plan);
  const cells = new Set([...plan.cells.map(({ cell }) => cell), ...steps.keys()]);
  return new Map(
    [...cells].map((cell): [string, Judgement] => {
      const blockers = blockedCells.get(cell) ?? [];
      const own = steps.get(cell) ?? [];
      return [cell, judgeCell({ cell, blockers, own, waits: waiting.has(cell) }, around)];
    }),
  );
}

function judgeCell(
  { cell, blockers, own, waits }: CellFacts,
  { now, holds, settled, drift: policy, isRequested, isSuspended }: Circumstances,
): Judgement {
  const drift = settled.has(cell) && (own.length > 0 || blockers.length > 0);
  if (blockers.length > 0) return { state: 'blocked', drift, blockers };
  if (own.length === 0) return { state: waits ? 'waiting' : 'settled', drift };
  const release = onlyLetsGo(own);
  if (isSuspended) return { state: 'suspended', drift, steps: own };
  const fingerprint = fingerprintOf(own);
  const hold = holds.of(cell, fingerprint, now);
  // Whoever removes a device waits for us: what has not been tried yet does not wait for what has failed.
  const isRemoval = own.some((step) => step.isRemoval) && !holds.hasFailed(cell, fingerprint);
  if (hold !== null && !isRemoval && !(release && hold.kind === 'flapping')) {
    return { state: 'held', drift, hold };
  }
  if (drift && policy === 'report' && !isRequested && !release && !isRemoval) {
    return { state: 'reported', drift, steps: own };
  }
  return { state: 'due', drift };
}

interface CellFacts {
  readonly cell: string;
  readonly blockers: readonly Blocker[];
  readonly own: readonly Step[];
  readonly waits: boolean;
}

/**
 * Do the steps only let go? Whoever removes a device sleeps in the kernel until we have: policies about
 * drift do not hold that up.
 */
export function onlyLetsGo(steps: readonly Step[]): boolean {
  return steps.every(({ kind }) => LETS_GO.has(kind));
}

const LETS_GO: ReadonlySet<StepKind> = new Set([
  'detach-device',
  'close-device',
  'destroy-hwpt',
  'destroy-ioas',
  'close-context',
]);

/** What a cell would do, as a text that is the same for the same steps. */
export function fingerprintOf(steps: readonly Step[]): string {
  return JSON.stringify(
    steps.map(({ kind, args }) => [kind, args]),
    (_key, value: unknown) => (typeof value === 'bigint' ? value.toString() : value),
  );
}

/** The steps of each cell that has any. */
export function stepsByCell(plan: Plan): ReadonlyMap<string, readonly Step[]> {
  const steps = new Map<string, Step[]>();
  for (const step of plan.steps) {
    const own = steps.get(step.cell);
    if (own) own.push(step);
    else steps.set(step.cell, [step]);
  }
  return steps;
}
