/** A device leaves its context: close of its VFIO device file, which resets it and gives its group back. */
import { draftContext } from '../graph/draft.ts';
import { defineStep } from './def.ts';

/** The step `close-device`. */
export const closeDevice = defineStep('close-device', {
  describe: ({ device, context }) => `close ${device} in context ${context}`,
  disruption: () => 'reset',
  kernelCalls: () => 1,
  predict({ context, device }, draft) {
    draftContext(draft, context).devices.delete(device);
  },
  undo: () => null,
});
