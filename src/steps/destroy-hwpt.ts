/** A page table that no device uses any more is freed: IOMMU_DESTROY. */
import { draftContainer } from '../graph/draft.ts';
import { formatRef } from '../graph/refs.ts';
import { defineStep } from './def.ts';

/** The step `destroy-hwpt`. */
export const destroyHwpt = defineStep('destroy-hwpt', {
  describe: ({ container, hwpt }) => `destroy HWPT ${formatRef(hwpt)} of ${container}`,
  disruption: () => 'none',
  kernelCalls: () => 1,
  predict({ context, container, hwpt }, draft) {
    draftContainer(draft, context, container).hwpts.delete(hwpt);
  },
  undo: () => null,
});
