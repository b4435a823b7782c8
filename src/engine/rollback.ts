/**
 * Takes the steps of a failed cell back, last first. A step whose undo would reset a device, or that
 * nothing can undo, stays, and so does everything it stands on: no device is reset twice for one failure.
 */
import type { Action, Step } from '../steps/def.ts';
import { disruptionOf, undoOf } from '../steps/index.ts';
import type { StepOutcome } from './outcome.ts';
import type { RunContext } from './run/context.ts';
import { runAction } from './run/index.ts';

/** What a rollback has left. */
export type RollbackResult =
  | { readonly result: 'clean' }
  | { readonly result: 'kept'; readonly kept: readonly Step[] }
  | { readonly result: 'failed'; readonly undo: Action; readonly error: unknown };

type Done = Extract<StepOutcome, { status: 'done' }>;

/** Undoes `done`, which is in the order of completion. */
export async function rollback(
  done: readonly Done[],
  run: RunContext,
  onUndo: (action: Action) => void,
): Promise<RollbackResult> {
  const kept: Step[] = [];
  const needed = new Set<string>();
  for (const outcome of [...done].reverse()) {
    const { step } = outcome;
    const actions = undoActions(outcome);
    if (actions === null || needed.has(step.id)) {
      kept.push(step);
      for (const id of step.after) needed.add(id);
      continue;
    }
    for (const action of actions) {
      onUndo(action);
      try {
        await runAction(action, run);
      } catch (error) {
        return { result: 'failed', undo: action, error };
      }
    }
  }
  return kept.length === 0 ? { result: 'clean' } : { result: 'kept', kept: kept.reverse() };
}

function undoActions({ step, detail }: Done): readonly Action[] | null {
  const undo = undoOf(step);
  if (undo === null || disruptionOf(undo) === 'reset') return null;
  const allocated = detail?.allocated ?? null;
  if (allocated === null || step.kind !== 'attach-device') return [undo];
  const { container, hwpt } = allocated;
  const { context } = step.args;
  return [undo, { kind: 'destroy-hwpt', args: { context, container, hwpt } }];
}
