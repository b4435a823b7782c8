/** A device joins a context: open of its VFIO device file, then VFIO_DEVICE_BIND_IOMMUFD, which resets it. */
import { assert } from '../base/assert.ts';
import { draftContext } from '../graph/draft.ts';
import { defineStep } from './def.ts';

/** The step `open-device`. */
export const openDevice = defineStep('open-device', {
  describe: ({ device, context }) => `open ${device} in context ${context}`,
  disruption: () => 'reset',
  kernelCalls: () => 2,
  predict({ context, device }, draft) {
    const held = [...draft.contexts.values()].some((each) => each.devices.has(device));
    assert(!held, `${device} is closed before it is opened elsewhere`);
    draftContext(draft, context).devices.set(device, { key: device, attachment: null });
  },
  undo: (args) => ({ kind: 'close-device', args }),
});
