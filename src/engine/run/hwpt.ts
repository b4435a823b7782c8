/** Runs the steps on a HWPT: allocate, switch tracking, destroy. */
import type { HwptId } from '../../base/ids.ts';
import { destroy, setDirtyTracking as set } from '../../kernel/iommufd.ts';
import { allocateFor } from './allocate.ts';
import { contextFd, type Runner, resolved, retrying, WHILE_RACING } from './context.ts';

/** Allocates a HWPT for a bound device. */
export const allocHwpt: Runner<'alloc-hwpt'> = ({ for: device, ...args }, run) =>
  run.exclusive(args.context, async () => {
    await allocateFor(run, { ...args, device });
    return undefined;
  });

/** Switches dirty tracking of a HWPT. */
export const setDirtyTracking: Runner<'set-dirty-tracking'> = async (
  { context, hwpt: ref, active },
  run,
) => {
  const hwpt = resolved<HwptId>(run, context, ref);
  await set(run.syscalls, contextFd(run, context), hwpt, active);
  run.journal.record(context, { kind: 'hwpt-changed', hwpt, active });
  return undefined;
};

/** Destroys a HWPT that no device is on. EBUSY that stays means that one still is. */
export const destroyHwpt: Runner<'destroy-hwpt'> = ({ context, hwpt: ref }, run) =>
  run.exclusive(context, async () => {
    const hwpt = resolved<HwptId>(run, context, ref);
    await retrying(run, WHILE_RACING, () => destroy(run.syscalls, contextFd(run, context), hwpt));
    run.journal.record(context, { kind: 'hwpt-destroyed', hwpt });
    return undefined;
  });
