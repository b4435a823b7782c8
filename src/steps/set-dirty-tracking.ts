/** Dirty tracking of a HWPT goes on or off: IOMMU_HWPT_SET_DIRTY_TRACKING. Switching on clears old bits first. */
import { present } from '../base/assert.ts';
import { draftContainer } from '../graph/draft.ts';
import { formatRef } from '../graph/refs.ts';
import { defineStep } from './def.ts';

/** The step `set-dirty-tracking`. */
export const setDirtyTracking = defineStep('set-dirty-tracking', {
  describe: ({ container, hwpt, active }) =>
    `turn dirty tracking ${active ? 'on' : 'off'} for ${formatRef('HWPT', hwpt)} of ${container}`,
  disruption: () => 'none',
  kernelCalls: () => 1,
  predict({ context, container, hwpt: ref, active }, draft) {
    const { hwpts } = draftContainer(draft, context, container);
    const hwpt = present(hwpts.get(ref), `HWPT ${ref}`);
    hwpts.set(ref, { ...hwpt, dirtyTracking: active ? 'active' : 'capable' });
  },
  undo: (args) => ({ kind: 'set-dirty-tracking', args: { ...args, active: !args.active } }),
});
