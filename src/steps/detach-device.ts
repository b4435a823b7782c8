/** A device leaves its page table: VFIO_DEVICE_DETACH_IOMMUFD_PT. With its last member the group is blocked: DMA faults. */
import { draftContext, draftDevice } from '../graph/draft.ts';
import { formatRef, tableType } from '../graph/refs.ts';
import { defineStep } from './def.ts';

/** The step `detach-device`. */
export const detachDevice = defineStep('detach-device', {
  describe: ({ device, from }) =>
    `detach ${device} from ${formatRef(tableType(device), from.pt)} of ${from.container}`,
  disruption: () => 'outage',
  kernelCalls: () => 1,
  predict({ context, device }, draft) {
    draftDevice(draft, context, device);
    draftContext(draft, context).devices.set(device, { key: device, attachment: null });
  },
  undo: ({ context, device, from }) => ({
    kind: 'attach-device',
    args: {
      context,
      container: from.container,
      device,
      candidates: [from.pt],
      otherwise: null,
      replaces: null,
      alsoMoves: [],
    },
  }),
});
