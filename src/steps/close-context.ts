/** The end of an iommufd context: the kernel frees what is still in it. */
import { assert } from '../base/assert.ts';
import { draftContext } from '../graph/draft.ts';
import { defineStep } from './def.ts';

/** The step `close-context`. */
export const closeContext = defineStep('close-context', {
  describe: ({ context }) => `close iommufd context ${context}`,
  disruption: () => 'none',
  kernelCalls: () => 1,
  predict({ context }, draft) {
    const { devices, containers } = draftContext(draft, context);
    assert(devices.size === 0 && containers.size === 0, `context ${context} is empty`);
    draft.contexts.delete(context);
  },
  undo: () => null,
});
