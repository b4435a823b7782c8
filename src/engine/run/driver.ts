/** Runs `bind-driver` and `release-driver`: driver_override and bind, each checked after the write. */
import type { Bdf } from '../../base/ids.ts';
import { SyscallError, type Syscalls } from '../../kernel/port.ts';
import type { Runner } from './context.ts';

/** Puts a driverless function on a driver. Errnos of the bind: ENODEV no match, EBUSY taken meanwhile, EINVAL refused by the driver. */
export const bindDriver: Runner<'bind-driver'> = async ({ device, driver }, run) => {
  const { syscalls } = run;
  const before = driverOf(syscalls, device);
  if (before !== null) throw new SyscallError('bind', 'EBUSY', `${device} is on ${before} by now`);
  await syscalls.slow.writeText(`${deviceDir(device)}/driver_override`, driver);
  try {
    await syscalls.slow.writeText(`/sys/bus/pci/drivers/${driver}/bind`, device);
  } catch (error) {
    await syscalls.slow.writeText(`${deviceDir(device)}/driver_override`, '\n');
    throw error;
  }
  return undefined;
};

/** Takes a function off the driver that `bind-driver` gave it. */
export const releaseDriver: Runner<'release-driver'> = async ({ device, driver }, run) => {
  const { syscalls } = run;
  if (driverOf(syscalls, device) === driver) {
    await syscalls.slow.writeText(`/sys/bus/pci/drivers/${driver}/unbind`, device);
  }
  await syscalls.slow.writeText(`${deviceDir(device)}/driver_override`, '\n');
  return undefined;
};

function deviceDir(device: Bdf): string {
  return `/sys/bus/pci/devices/${device}`;
}

/** The driver of a function; null without one. */
export function driverOf(syscalls: Syscalls, device: Bdf): string | null {
  try {
    return (
      syscalls
        .readLink(`${deviceDir(device)}/driver`)
        .split('/')
        .at(-1) ?? null
    );
  } catch (error) {
    if (error instanceof SyscallError && error.errno === 'ENOENT') return null;
    throw error;
  }
}
