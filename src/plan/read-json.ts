/** The words of a plan from its JSON document, so that a plan that somebody else made can be shown. */
import type { Json } from '../base/json.ts';
import { STEP_DEFS } from '../steps/index.ts';
import type { PlanWords, StepWords } from './format-text.ts';

/** The document as it is written; the fields that the words need. */
type WirePlan = Omit<PlanWords, 'steps'> & {
  readonly formatVersion: string;
  readonly kind: string;
  readonly steps: readonly (Omit<StepWords, 'moves'> & {
    readonly args: { readonly replaces?: string | null };
  })[];
};

/** The words of the plan; null for a document that is no plan, is of another major version, or has steps that we do not know. */
export function planWordsOf(document: Json): PlanWords | null {
  const wire = document as unknown as WirePlan | null;
  if (wire?.kind !== 'Plan' || !/^1\./.test(wire.formatVersion)) return null;
  const lists = [wire.steps, wire.blocked, wire.notes, wire.untouched, wire.cells];
  if (!lists.every(Array.isArray) || !wire.steps.every(({ kind }) => kind in STEP_DEFS))
    return null;
  return {
    ...wire,
    steps: wire.steps.map((step) => ({
      ...step,
      moves: step.kind === 'attach-device' && (step.args.replaces ?? null) !== null,
    })),
  };
}
