/** A container ends: IOMMU_DESTROY of its IOAS, once no HWPT and no mdev uses it. */
import { assert } from '../base/assert.ts';
import { draftContainer, draftContext } from '../graph/draft.ts';
import { formatRef } from '../graph/refs.ts';
import { defineStep } from './def.ts';

/** The step `destroy-ioas`. */
export const destroyIoas = defineStep('destroy-ioas', {
  describe: ({ container, ioas }) => `destroy ${formatRef('IOAS', ioas)} of ${container}`,
  disruption: () => 'none',
  kernelCalls: () => 1,
  predict({ context, container }, draft) {
    const { hwpts } = draftContainer(draft, context, container);
    assert(hwpts.size === 0, `the HWPTs of ${container} are freed before its IOAS`);
    draftContext(draft, context).containers.delete(container);
  },
  undo: () => null,
});
