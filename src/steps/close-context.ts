/** The end of an iommufd context: the kernel frees what is still in it. */
import { defineStep } from './def.ts';

/** The step `close-context`. */
export const closeContext = defineStep('close-context', {
  describe: ({ context }) => `close iommufd context ${context}`,
  disruption: () => 'none',
  kernelCalls: () => 1,
  predict({ context }, draft) {
    draft.contexts.delete(context);
  },
  undo: () => null,
});
