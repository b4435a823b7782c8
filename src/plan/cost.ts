/** What steps cost: totals in the words of a plan's summary, and a plan cut down to some of its cells. */
import type { Disruption, Step } from '../steps/def.ts';
import { disruptionOf, kernelCallsOf } from '../steps/index.ts';
import type { Blocker, Plan, PlanSummary } from './types.ts';

const WORST: readonly Disruption[] = ['none', 'brief', 'reset', 'outage'];

/** Totals of a list of steps. */
export function costOf(steps: readonly Step[], blocked: readonly Blocker[]): PlanSummary {
  let worst = 0;
  let kernelCalls = 0;
  const count = { outage: 0, reset: 0, brief: 0, none: 0 };
  for (const step of steps) {
    const disruption = disruptionOf(step);
    count[disruption] += 1;
    worst = Math.max(worst, WORST.indexOf(disruption));
    kernelCalls += kernelCallsOf(step);
  }
  return {
    steps: steps.length,
    blocked: blocked.length,
    disruption: WORST[worst] ?? 'none',
    outages: count.outage,
    resets: count.reset,
    replaces: count.brief,
    kernelCalls,
  };
}

/** The part of a plan that is about some of its cells. Cells share no step and no `after`, so nothing is torn. */
export function onlyCells(plan: Plan, isMeant: (cell: string) => boolean): Plan {
  const steps = plan.steps.filter(({ cell }) => isMeant(cell));
  const cells = plan.cells.filter(({ cell }) => isMeant(cell));
  const names = new Set(cells.flatMap(({ containers }) => containers));
  const blocked = plan.blocked.filter(({ container }) => names.has(container));
  return {
    ...plan,
    steps,
    cells,
    blocked,
    summary: costOf(steps, blocked),
    expects: plan.expects.filter(({ cell }) => isMeant(cell)),
  };
}
