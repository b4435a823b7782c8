/**
 * A device goes onto a page table: VFIO_DEVICE_ATTACH_IOMMUFD_PT. On a device that is attached
 * already the same call is a replace and moves every attached mate of its IOMMU group.
 */
import { draftContext, draftDevice } from '../graph/draft.ts';
import { formatRef, tableType } from '../graph/refs.ts';
import { defineStep } from './def.ts';

/** The step `attach-device`. */
export const attachDevice = defineStep('attach-device', {
  describe({ device, container, candidates, replaces, alsoMoves }) {
    const mates = alsoMoves.length === 0 ? '' : ` with ${alsoMoves.join(', ')}`;
    const type = tableType(device);
    const target = `${formatRef(type, candidates[0])} of ${container}`;
    return replaces === null
      ? `attach ${device} to ${target}`
      : `move ${device}${mates} from ${formatRef(type, replaces.pt)} of ${replaces.container} to ${target}`;
  },
  disruption: ({ replaces }) => (replaces === null ? 'none' : 'brief'),
  kernelCalls: () => 1,
  predict({ context: name, container, device, candidates, alsoMoves }, draft) {
    const context = draftContext(draft, name);
    for (const key of [device, ...alsoMoves]) {
      draftDevice(draft, name, key);
      context.devices.set(key, { key, attachment: { container, pt: candidates[0] } });
    }
  },
  undo({ context, device, container, candidates, replaces, alsoMoves }) {
    const here = { container, pt: candidates[0] };
    if (replaces === null) {
      return { kind: 'detach-device', args: { context, device, from: here } };
    }
    return {
      kind: 'attach-device',
      args: {
        context,
        container: replaces.container,
        device,
        candidates: [replaces.pt],
        otherwise: null,
        replaces: here,
        alsoMoves,
      },
    };
  },
});
