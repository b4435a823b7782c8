/** A new iommufd context: one open of /dev/iommu. */
import { defineStep } from './def.ts';

/** The step `open-context`. */
export const openContext = defineStep('open-context', {
  describe: ({ context }) => `open iommufd context ${context}`,
  disruption: () => 'none',
  kernelCalls: () => 1,
  predict({ context }, draft) {
    draft.contexts.set(context, {
      name: context,
      containers: new Map(),
      devices: new Map(),
      contradictions: [],
      consumers: [],
    });
  },
  undo: ({ context }) => ({ kind: 'close-context', args: { context } }),
});
