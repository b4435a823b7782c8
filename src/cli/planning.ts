/** What plan and apply share: a plan of a host with its digests, and the way it is shown. */

import type { Json } from '../base/json.ts';
import { type Planned, planAttempt } from '../engine/attempt.ts';
import { graphDigest } from '../engine/digest.ts';
import { planToJson } from '../plan/format-json.ts';
import { formatPlan } from '../plan/format-text.ts';
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
export function planFor(
  host: OpenedHost,
  { config, source }: LoadedConfig,
  options: PlanOptions,
): ShownPlan {
  const planned = planAttempt(host, config, options);
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
  const title = [{ text: `Host ${plan.host}`, tone: 'dim' as const }];
  return render([title, [], ...formatPlan(plan)], wantsColour(color, io));
}
