/** May the page tables of an IOAS use huge pages: IOMMU_OPTION_HUGE_PAGES, before anything is mapped. */
import { draftContainer } from '../graph/draft.ts';
import { defineStep } from './def.ts';

/** The step `set-huge-pages`. */
export const setHugePages = defineStep('set-huge-pages', {
  describe: ({ container, hugePages }) =>
    `${hugePages ? 'allow' : 'forbid'} huge pages in the IOAS of ${container}`,
  disruption: () => 'none',
  kernelCalls: () => 1,
  predict({ context, container, hugePages }, draft) {
    draftContainer(draft, context, container).hugePages = hugePages;
  },
  undo: (args) => ({ kind: 'set-huge-pages', args: { ...args, hugePages: !args.hugePages } }),
});
