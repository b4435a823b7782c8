/** What came of a plan: every step, every cell. States as values; nothing here acts. */
import type { DeviceKey } from '../base/ids.ts';
import type { StuckCall } from '../graph/types.ts';
import type { Action, Step } from '../steps/def.ts';
import type { StepDetail } from './run/context.ts';

/** What came of one step. */
export type StepOutcome =
  | {
      readonly status: 'done';
      readonly step: Step;
      readonly ms: number;
      readonly detail: StepDetail | null;
    }
  | {
      readonly status: 'failed';
      readonly step: Step;
      readonly ms: number;
      readonly error: unknown;
    };

/** What came of one cell. */
export type CellOutcome = { readonly cell: string; readonly containers: readonly string[] } & (
  | { readonly result: 'applied' }
  /** Every step that was done is undone. */
  | { readonly result: 'rolled-back'; readonly failed: FailedStep }
  /** Steps that cannot be taken back without another reset or at all were left as they are. */
  | { readonly result: 'stopped'; readonly failed: FailedStep; readonly kept: readonly Step[] }
  /** The rollback failed too: the state is not known. */
  | {
      readonly result: 'unknown';
      readonly failed: FailedStep;
      readonly undo: Action;
      readonly error: unknown;
    }
  /**
   * A call of the cell, or one that holds its lanes or the pool, does not return. Nothing is taken back:
   * what was done stays, and the next attempt goes on from there.
   */
  | {
      readonly result: 'stuck';
      readonly calls: readonly StuckCall[];
      readonly kept: readonly Step[];
    }
  /** A person interrupted the attempt before the cell was done. */
  | { readonly result: 'interrupted'; readonly done: number }
);

/** A step that failed. */
export type FailedStep = Extract<StepOutcome, { status: 'failed' }>;

/** What came of a plan. */
export interface ApplyResult {
  readonly outcomes: readonly StepOutcome[];
  readonly cells: readonly CellOutcome[];
}

/** Devices that were opened, whatever became of them later. */
export function openedIn({ outcomes }: ApplyResult): ReadonlySet<DeviceKey> {
  return new Set(
    outcomes.flatMap(({ status, step }) =>
      status === 'done' && step.kind === 'open-device' ? [step.args.device] : [],
    ),
  );
}

/** What happens while a plan is applied, as it happens. */
export type ApplyEvent =
  | { readonly kind: 'step-started'; readonly step: Step }
  | { readonly kind: 'step-ended'; readonly outcome: StepOutcome }
  | { readonly kind: 'undo-started'; readonly cell: string; readonly action: Action };
