/**
 * What iommufd and VFIO answer, as cases that run on any implementation of the port: on the simulator
 * in `npm test`, on a real kernel in the lab. A case that needs a device which the target does not
 * have is reported as skipped: modelled, not run.
 */
import { contextCases } from './context-cases.ts';
import { deviceCases } from './device-cases.ts';
import { rigOn, type Target } from './rig.ts';

/** Declares the suite for one implementation. */
export function conformance(name: string, open: () => Target): void {
  const rig = rigOn(name, open());
  contextCases(rig);
  deviceCases(rig);
}
