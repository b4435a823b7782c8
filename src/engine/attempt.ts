/** One attempt: observe, plan, apply, observe again, verify. Loops are somebody else's business. */
import type { Graph } from '../graph/types.ts';
import { planHost } from '../plan/planner.ts';
import type { Drift, Plan, PlanOptions } from '../plan/types.ts';
import { verify } from '../plan/verify.ts';
import type { Config } from '../spec/config.ts';
import { type ApplyOptions, applyPlan } from './apply.ts';
import { type ManagedHost, observeHost, runContextOf } from './host.ts';
import type { ApplyResult } from './outcome.ts';

/** A plan with the graph that it was made from. */
export interface Planned {
  readonly graph: Graph;
  readonly plan: Plan;
}

/** What one attempt came to. */
export interface Attempt extends Planned {
  readonly result: ApplyResult;
  /** The host afterwards. */
  readonly after: Graph;
  /** Expectations that are not met, of the cells that were applied without a failure. */
  readonly drift: readonly Drift[];
}

/** Observes and plans. Makes no writing call. */
export function planAttempt(host: ManagedHost, config: Config, options: PlanOptions): Planned {
  const { graph } = observeHost(host);
  return { graph, plan: planHost(config, graph, options) };
}

/** Applies a plan that was made from the host as it is, then looks whether it is true. */
export async function applyAttempt(
  host: ManagedHost,
  planned: Planned,
  config: Config,
  options: ApplyOptions,
): Promise<Attempt> {
  const result = await applyPlan(planned.plan, runContextOf(host), options);
  rememberPolicies(host, config);
  const { graph: after } = observeHost(host);
  const failed = new Set(
    result.cells.filter((cell) => cell.result !== 'applied').map((cell) => cell.cell),
  );
  const expects = planned.plan.expects.filter(({ cell }) => !failed.has(cell));
  return { ...planned, result, after, drift: verify(expects, after) };
}

/** Notes each container's deletion policy, which a file that is gone can no longer say. */
function rememberPolicies(host: ManagedHost, config: Config): void {
  const policies = new Map(config.containers.map(({ name, deletion }) => [name, deletion]));
  for (const context of host.journal.contexts()) {
    for (const { name, deletion } of context.containers) {
      const now = policies.get(name);
      if (now === undefined || now === deletion) continue;
      host.journal.record(context.name, {
        kind: 'container-changed',
        container: name,
        change: { deletion: now },
      });
    }
  }
}
