/** A context whose ids are not what the journal says is not touched: any step in it would be a guess. */
import type { Rule } from './rule.ts';

/** Blocks containers in a context that the probes contradict. */
export const contexts: Rule = ({ graph, wanted, removals }) => {
  const places = [
    ...wanted.map(({ spec }) => ({ container: spec.name, context: spec.context })),
    ...removals.map(({ container, context }) => ({ container: container.name, context })),
  ];
  return places.flatMap(({ container, context }) => {
    const what = graph.contexts.get(context)?.contradictions[0];
    return what === undefined ? [] : [{ kind: 'contradiction' as const, container, context, what }];
  });
};
