/** What a one-shot caller allows: nothing beyond the config. Apart from the planner, so that it loads alone. */
import type { PlanOptions } from './types.ts';

/** The options of a caller that says nothing. */
export const DEFAULT_OPTIONS: PlanOptions = {
  removals: 'now',
  removalsAllowed: null,
  confirmed: [],
};
