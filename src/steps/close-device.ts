/** A device leaves its context: close of its VFIO device file, which resets it and gives its group back. */
import { assert } from '../base/assert.ts';
import { draftContext, draftDevice } from '../graph/draft.ts';
import { defineStep } from './def.ts';

/** The step `close-device`. */
export const closeDevice = defineStep('close-device', {
  describe: ({ device, context }) => `close ${device} in context ${context}`,
  disruption: () => 'reset',
  kernelCalls: () => 1,
  predict({ context, device }, draft) {
    const { attachment } = draftDevice(draft, context, device);
    assert(attachment === null, `${device} is detached before it is closed`);
    draftContext(draft, context).devices.delete(device);
  },
  undo: () => null,
});
