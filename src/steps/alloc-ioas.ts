/** The address space of a new container: IOMMU_IOAS_ALLOC. */
import { draftContext } from '../graph/draft.ts';
import { defineStep } from './def.ts';

/** The step `alloc-ioas`. */
export const allocIoas = defineStep('alloc-ioas', {
  describe: ({ container, context }) => `allocate IOAS of ${container} in context ${context}`,
  disruption: () => 'none',
  kernelCalls: () => 1,
  predict({ context, container, ioas, deletion }, draft) {
    draftContext(draft, context).containers.set(container, {
      name: container,
      ioas,
      allow: [],
      hugePages: true,
      deletion,
      hwpts: new Map(),
    });
  },
  undo: ({ context, container, ioas }) => ({
    kind: 'destroy-ioas',
    args: { context, container, ioas },
  }),
});
