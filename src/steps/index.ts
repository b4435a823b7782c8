/** All kinds of steps as one table, and the questions that are asked of any step through it. */
import { type Draft, draftOf, graphOf } from '../graph/draft.ts';
import type { Graph } from '../graph/types.ts';
import { allocHwpt } from './alloc-hwpt.ts';
import { allocIoas } from './alloc-ioas.ts';
import { allowIovas } from './allow-iovas.ts';
import { attachDevice } from './attach-device.ts';
import { bindDriver } from './bind-driver.ts';
import { closeContext } from './close-context.ts';
import { closeDevice } from './close-device.ts';
import type { Action, Disruption, StepDef, StepKind } from './def.ts';
import { destroyHwpt } from './destroy-hwpt.ts';
import { destroyIoas } from './destroy-ioas.ts';
import { detachDevice } from './detach-device.ts';
import { openContext } from './open-context.ts';
import { openDevice } from './open-device.ts';
import { releaseDriver } from './release-driver.ts';
import { renameContainer } from './rename-container.ts';
import { setDirtyTracking } from './set-dirty-tracking.ts';
import { setHugePages } from './set-huge-pages.ts';

/** The definition of every kind of step. */
export const STEP_DEFS: { readonly [K in StepKind]: StepDef<K> } = {
  'rename-container': renameContainer,
  'open-context': openContext,
  'bind-driver': bindDriver,
  'release-driver': releaseDriver,
  'open-device': openDevice,
  'alloc-ioas': allocIoas,
  'set-huge-pages': setHugePages,
  'allow-iovas': allowIovas,
  'alloc-hwpt': allocHwpt,
  'attach-device': attachDevice,
  'set-dirty-tracking': setDirtyTracking,
  'detach-device': detachDevice,
  'destroy-hwpt': destroyHwpt,
  'destroy-ioas': destroyIoas,
  'close-device': closeDevice,
  'close-context': closeContext,
};

/** The action in words. */
export function describeAction(action: Action): string {
  return defOf(action).describe(action.args);
}

/** What the action does to running DMA. */
export function disruptionOf(action: Action): Disruption {
  return defOf(action).disruption(action.args);
}

/** System calls that the action makes when all goes well. */
export function kernelCallsOf(action: Action): number {
  return defOf(action).kernelCalls(action.args);
}

/** The action that takes this one back; null where nothing can. */
export function undoOf(action: Action): Action | null {
  return defOf(action).undo(action.args);
}

/** Changes the draft as the action would change the host. */
export function predictOn(draft: Draft, action: Action): void {
  defOf(action).predict(action.args, draft);
}

/** The graph after all the actions, in order. The given graph stays as it is. */
export function predictAll(graph: Graph, actions: Iterable<Action>): Graph {
  const draft = draftOf(graph);
  for (const action of actions) predictOn(draft, action);
  return graphOf(draft);
}

/** The definition for an action. The table pairs every kind with its own arguments, which the compiler cannot follow through a union. */
function defOf(action: Action): StepDef<StepKind> {
  return STEP_DEFS[action.kind] as unknown as StepDef<StepKind>;
}
