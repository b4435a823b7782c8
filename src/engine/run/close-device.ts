/** Runs `close-device`. */
import { heldDevice, type Runner } from './context.ts';

/** Closes the device's file: the kernel resets the device and, with the last member, frees its group. */
export const closeDevice: Runner<'close-device'> = async ({ context, device }, run) => {
  const { fd } = heldDevice(run, context, device);
  await run.syscalls.slow.close(fd as Parameters<typeof run.syscalls.slow.close>[0]);
  run.journal.record(context, { kind: 'device-closed', device });
  return undefined;
};
