/** Runs `close-device`. */
import type { Fd } from '../../kernel/port.ts';
import { heldDevice, type Runner } from './context.ts';

/** Closes the device's file: the kernel resets the device and, with the last member, frees its group. */
export const closeDevice: Runner<'close-device'> = async ({ context, device }, run) => {
  const fd = heldDevice(run, context, device).fd as Fd;
  await run.keeper.letGo(fd);
  await run.syscalls.slow.close(fd);
  run.journal.record(context, { kind: 'device-closed', device });
  return undefined;
};
