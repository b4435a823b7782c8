/** Which IOVA ranges of a container must stay usable: IOMMU_IOAS_ALLOW_IOVAS, which replaces the whole list. */
import { formatRange } from '../base/iova.ts';
import { draftContainer } from '../graph/draft.ts';
import { defineStep } from './def.ts';

/** The step `allow-iovas`. */
export const allowIovas = defineStep('allow-iovas', {
  describe: ({ container, ranges }) =>
    ranges.length === 0
      ? `clear the IOVA allow list of ${container}`
      : `keep IOVAs ${ranges.map(formatRange).join(', ')} usable in ${container}`,
  disruption: () => 'none',
  kernelCalls: () => 1,
  predict({ context, container, ranges }, draft) {
    draftContainer(draft, context, container).allow = ranges;
  },
  undo: (args) => ({
    kind: 'allow-iovas',
    args: { ...args, ranges: args.before, before: args.ranges },
  }),
});
