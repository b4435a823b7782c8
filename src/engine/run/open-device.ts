/** Runs `open-device`. */
import { type DeviceKey, isBdf } from '../../base/ids.ts';
import { SyscallError, type Syscalls } from '../../kernel/port.ts';
import { bindIommufd, openDevice as openFile } from '../../kernel/vfio.ts';
import { contextFd, type Runner, retrying, WHILE_RESETTING, withKept } from './context.ts';

/** BIND says EBUSY for a held group, which does not pass by waiting; only EAGAIN does. */
const BIND_RETRY = { ...WHILE_RESETTING, errnos: ['EAGAIN'] };

/** Opens the device file that sysfs names at this moment and binds it; a refused bind closes it again. */
export const openDevice: Runner<'open-device'> = async ({ context, device }, run) => {
  const iommufd = contextFd(run, context);
  const fd = openFile(run.syscalls, cdevOf(run.syscalls, device));
  const devId = await withKept(run, fd, () =>
    retrying(run, BIND_RETRY, () => bindIommufd(run.syscalls, fd, iommufd)),
  );
  run.journal.record(context, { kind: 'device-opened', device, fd, devId });
  return undefined;
};

/** The device's file number changes between boots and rebinds, so it is read anew. */
function cdevOf(syscalls: Syscalls, device: DeviceKey): string {
  const bus = isBdf(device) ? 'pci' : 'mdev';
  const dir = `/sys/bus/${bus}/devices/${device}/vfio-dev`;
  const cdev = syscalls.readDir(dir).find((name) => name.startsWith('vfio'));
  if (cdev === undefined) throw new SyscallError('open', 'ENOENT', dir);
  return cdev;
}
