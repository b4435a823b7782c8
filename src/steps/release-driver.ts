/** A function goes back to having no driver: only ever the undo of `bind-driver`. */
import { setDriver } from './bind-driver.ts';
import { defineStep } from './def.ts';

/** The step `release-driver`. */
export const releaseDriver = defineStep('release-driver', {
  describe: ({ device, driver }) => `release ${device} from ${driver}`,
  disruption: () => 'none',
  kernelCalls: () => 2,
  predict: ({ device }, draft) => setDriver(draft, device, null),
  undo: (args) => ({ kind: 'bind-driver', args }),
});
