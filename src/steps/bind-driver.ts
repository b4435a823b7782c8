/** A driverless function gets a VFIO driver: driver_override, then bind; never new_id. */
import { present } from '../base/assert.ts';
import type { Bdf } from '../base/ids.ts';
import type { Draft } from '../graph/draft.ts';
import { defineStep } from './def.ts';

/** The name that a predicted device file has until the kernel numbers it. */
export const UNKNOWN_CDEV = 'vfio?';

/** The step `bind-driver`. */
export const bindDriver = defineStep('bind-driver', {
  describe: ({ device, driver }) => `bind ${device} to ${driver}`,
  disruption: () => 'none',
  kernelCalls: () => 2,
  predict: ({ device, driver }, draft) => setDriver(draft, device, driver),
  undo: (args) => ({ kind: 'release-driver', args }),
});

/** Puts a PCI function of the draft on a VFIO driver, or with null on none. */
export function setDriver(draft: Draft, bdf: Bdf, driver: string | null): void {
  const device = present(draft.devices.get(bdf), `device ${bdf}`);
  if (device.kind !== 'pci') return;
  const cdev = driver === null ? null : UNKNOWN_CDEV;
  draft.devices.set(bdf, { ...device, driver, driverOverride: driver, cdev });
}
