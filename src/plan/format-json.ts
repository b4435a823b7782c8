/** A plan as a JSON document. Its shape is schema/plan.v1.json. */

import { type DeviceKey, isBdf } from '../base/ids.ts';
import { type Json, toJson } from '../base/json.ts';
import type { Step } from '../steps/def.ts';
import { describeAction, disruptionOf } from '../steps/index.ts';
import { explainBlocker } from './blockers.ts';
import type { Blocker, Plan } from './types.ts';

/** What a plan was made from and by. */
export interface PlanOrigin {
  readonly tool: string;
  readonly configDigest: string;
  readonly revision: string | null;
  readonly graphDigest: string;
}

/** The plan as a document. */
export function planToJson(plan: Plan, origin: PlanOrigin): { readonly [key: string]: Json } {
  return {
    formatVersion: '1.0',
    kind: 'Plan',
    tool: origin.tool,
    host: plan.host,
    config: { digest: origin.configDigest, revision: origin.revision },
    graph: { digest: origin.graphDigest, bootId: plan.bootId },
    summary: toJson(plan.summary),
    steps: plan.steps.map(stepToJson),
    blocked: plan.blocked.map(blockerToJson),
    notes: toJson(plan.notes),
    expects: toJson(plan.expects),
    waiting: toJson(plan.waiting),
    untouched: toJson(plan.untouched),
    cells: toJson(plan.cells),
  };
}

function stepToJson(step: Step): Json {
  const { id, kind, cell, container, args, why, lane, after } = step;
  const device = 'device' in args ? deviceToJson(args.device) : null;
  const disruption = disruptionOf(step);
  const text = describeAction(step);
  return {
    id,
    kind,
    cell,
    container,
    device,
    args: toJson(args),
    why,
    disruption,
    lane,
    after,
    text,
  };
}

function blockerToJson(blocker: Blocker): Json {
  const { kind, container } = blocker;
  const device = 'device' in blocker ? deviceToJson(blocker.device) : null;
  return { kind, container, device, ...explainBlocker(blocker) };
}

function deviceToJson(key: DeviceKey): Json {
  return isBdf(key) ? { pci: key } : { mdev: key };
}
