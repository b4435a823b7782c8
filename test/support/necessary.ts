/** Is every step of a plan needed? The check behind `has no step that could be left out`. */
import type { Graph } from '../../src/graph/types.ts';
import type { Plan } from '../../src/plan/types.ts';
import { verify } from '../../src/plan/verify.ts';
import type { Step } from '../../src/steps/def.ts';
import { predictAll } from '../../src/steps/index.ts';

/** The first step without which the plan would come to the same; null where each is needed. */
export function needlessStep(plan: Plan, graph: Graph): Step | null {
  return (
    plan.steps.find((left) => {
      const rest = plan.steps.filter((step) => step !== left);
      return isComplete(plan, graph, rest);
    }) ?? null
  );
}

function isComplete(plan: Plan, graph: Graph, steps: readonly Step[]): boolean {
  try {
    const met = verify(plan.expects, predictAll(graph, steps)).length === 0;
    return met && !needsDriver(graph, steps);
  } catch {
    return false;
  }
}

/** The draft does not ask for a device file before a device is opened; the kernel does. */
function needsDriver(graph: Graph, steps: readonly Step[]): boolean {
  const bound = new Set(steps.flatMap((s) => (s.kind === 'bind-driver' ? [s.args.device] : [])));
  return steps.some((step) => {
    if (step.kind !== 'open-device') return false;
    const device = graph.devices.get(step.args.device);
    return device?.kind === 'pci' && device.cdev === null && !bound.has(device.key);
  });
}
