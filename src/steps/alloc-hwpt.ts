/** A page table for devices of a container: IOMMU_HWPT_ALLOC, made for one device and kept for all that fit. */
import { draftContainer } from '../graph/draft.ts';
import { defineStep, type HwptFlags } from './def.ts';

/** The step `alloc-hwpt`. */
export const allocHwpt = defineStep('alloc-hwpt', {
  describe: ({ container, flags, iommu }) =>
    `allocate HWPT${formatFlags(flags)} of ${container} for ${iommu ?? 'the IOMMU of its device'}`,
  disruption: () => 'none',
  kernelCalls: () => 1,
  predict({ context, container, hwpt, flags, iommu }, draft) {
    draftContainer(draft, context, container).hwpts.set(hwpt, {
      ref: hwpt,
      dirtyTracking: flags.dirtyTracking ? 'capable' : 'none',
      nesting: flags.nesting,
      iommu,
    });
  },
  undo: ({ context, container, hwpt }) => ({
    kind: 'destroy-hwpt',
    args: { context, container, hwpt },
  }),
});

/** The properties in brackets, with a space before; empty for a plain HWPT. */
function formatFlags(flags: HwptFlags): string {
  const words = [
    ...(flags.dirtyTracking ? ['dirty tracking'] : []),
    ...(flags.nesting ? ['nesting parent'] : []),
  ];
  return words.length === 0 ? '' : ` (${words.join(', ')})`;
}
