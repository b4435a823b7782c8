/** A page table that no device uses any more is freed: IOMMU_DESTROY. */
import { assert } from '../base/assert.ts';
import { draftContainer, draftContext } from '../graph/draft.ts';
import { attachedTo } from '../graph/query.ts';
import { formatRef } from '../graph/refs.ts';
import { defineStep } from './def.ts';

/** The step `destroy-hwpt`. */
export const destroyHwpt = defineStep('destroy-hwpt', {
  describe: ({ container, hwpt }) => `destroy ${formatRef('HWPT', hwpt)} of ${container}`,
  disruption: () => 'none',
  kernelCalls: () => 1,
  predict({ context, container, hwpt }, draft) {
    const inUse = attachedTo(draftContext(draft, context), hwpt);
    assert(inUse.length === 0, `no device is on HWPT ${hwpt} when it is destroyed`);
    draftContainer(draft, context, container).hwpts.delete(hwpt);
  },
  undo: () => null,
});
