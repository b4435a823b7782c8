/** What plan and apply share: a plan of a host with its digests, and the way it is shown. */

import type { Json } from '../base/json.ts';
import { type Planned, planAttempt } from '../engine/attempt.ts';
import { graphDigest } from '../engine/digest.ts';
import type { Graph } from '../graph/types.ts';
import { planToJson } from '../plan/format-json.ts';
import { formatPlan, type SpanLine } from '../plan/format-text.ts';
import { planHost } from '../plan/planner.ts';
import type { PlanOptions } from '../plan/types.ts';
import { type ColourChoice, render, wantsColour } from './colour.ts';
import type { LoadedConfig } from './inputs.ts';
import type { Io } from './io.ts';
import type { OpenedHost } from './machine.ts';
import { VERSION } from './version.ts';

/** A plan with its document. */
export interface ShownPlan extends Planned {
  readonly document: { readonly [key: string]: Json };
}

/** Observes the host and plans. */
export function planFor(host: OpenedHost, loaded: LoadedConfig, options: PlanOptions): ShownPlan {
  return shown(planAttempt(host, loaded.config, options), loaded);
}

/** Plans on a graph that somebody else observed. */
export function planOn(graph: Graph, loaded: LoadedConfig, options: PlanOptions): ShownPlan {
  return shown({ graph, plan: planHost(loaded.config, graph, options) }, loaded);
}

function shown(planned: Planned, { source }: LoadedConfig): ShownPlan {
  const document = planToJson(planned.plan, {
    tool: VERSION,
    configDigest: source.digest,
    revision: source.revision,
    graphDigest: graphDigest(planned.graph),
  });
  return { ...planned, document };
}

/** The plan as text. */
export function planText({ plan }: Planned, color: ColourChoice, io: Io): string {
  return planLinesText(`Host ${plan.host}`, formatPlan(plan), color, io);
}

/** The lines of a plan below a title, as text. */
export function planLinesText(
  title: string,
  lines: readonly SpanLine[],
  color: ColourChoice,
  io: Io,
): string {
  return render([[{ text: title, tone: 'dim' }], [], ...lines], wantsColour(color, io));
}
