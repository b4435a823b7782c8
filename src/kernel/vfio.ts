/**
 * The calls on a VFIO device file, by name. Each is one row of uapi/vfio.ts; errnos with their
 * causes stand there. Every function throws KernelError when the kernel refuses.
 */
import type { DevId, HwptId, IoasId } from '../base/ids.ts';
import { call, callSlow, KernelError } from './call.ts';
import type { Fd, Syscalls } from './port.ts';
import {
  FEATURE_GET,
  FEATURE_PROBE,
  IRQ_ACTION_TRIGGER,
  IRQ_DATA_EVENTFD,
  PCI_REQ_IRQ_INDEX,
  VFIO_OPS,
} from './uapi/vfio.ts';

/** Where VFIO device files are. */
export const VFIO_DEVICE_DIR = '/dev/vfio/devices';

/** Opens a VFIO device file such as `vfio3`. Opening alone neither binds nor resets the device. */
export function openDevice(syscalls: Syscalls, cdev: string): Fd {
  return syscalls.open(`${VFIO_DEVICE_DIR}/${cdev}`);
}

/** Binds a device file to a context and returns the id of the DEVICE (of an mdev: ACCESS) object. Resets the device: about 100 ms with FLR. */
export async function bindIommufd(syscalls: Syscalls, device: Fd, iommufd: Fd): Promise<DevId> {
  const { out } = await callSlow(syscalls, device, VFIO_OPS.VFIO_DEVICE_BIND_IOMMUFD, { iommufd });
  return out.out_devid as DevId;
}

/** Attaches a bound device to a page table, or replaces the one it is on; returns the one it is on now. EINVAL: does not fit, or the group is elsewhere. */
export async function attachPt(
  syscalls: Syscalls,
  device: Fd,
  pt: HwptId | IoasId,
): Promise<HwptId | IoasId> {
  const op = VFIO_OPS.VFIO_DEVICE_ATTACH_IOMMUFD_PT;
  const { out } = await callSlow(syscalls, device, op, { pt_id: pt });
  return out.pt_id as HwptId | IoasId;
}

/** Detaches a bound device; answers 0 also where nothing was attached. */
export async function detachPt(syscalls: Syscalls, device: Fd): Promise<void> {
  await callSlow(syscalls, device, VFIO_OPS.VFIO_DEVICE_DETACH_IOMMUFD_PT, {});
}

/** True where the driver of a bound device offers the feature; asks only. */
export function hasFeature(syscalls: Syscalls, device: Fd, feature: number): boolean {
  try {
    const flags = feature | FEATURE_PROBE;
    call(syscalls, device, VFIO_OPS.VFIO_DEVICE_FEATURE, { flags });
    return true;
  } catch (error) {
    if (error instanceof KernelError && error.errno === 'ENOTTY') return false;
    throw error;
  }
}

/** The 64-bit value of a feature that is read with GET, such as the flags of MIGRATION. */
export function readFeature(syscalls: Syscalls, device: Fd, feature: number): bigint {
  const flags = feature | FEATURE_GET;
  const { tail } = call(
    syscalls,
    device,
    VFIO_OPS.VFIO_DEVICE_FEATURE,
    { flags },
    new Uint8Array(8),
  );
  return new DataView(tail.buffer, tail.byteOffset, 8).getBigUint64(0, true);
}

/**
 * Has the kernel signal the eventfd when somebody unbinds or removes the function: at once, and every
 * ten seconds until it is closed. One eventfd a device: a later one takes its place. It ends with a
 * close of the device. EINVAL: not a PCI function, or not bound.
 */
export function armRequest(syscalls: Syscalls, device: Fd, eventfd: Fd): void {
  setRequest(syscalls, device, eventfd);
}

/** Takes the eventfd of `armRequest` away; nothing armed is no error. */
export function disarmRequest(syscalls: Syscalls, device: Fd): void {
  setRequest(syscalls, device, NO_EVENTFD);
}

const NO_EVENTFD = -1;

function setRequest(syscalls: Syscalls, device: Fd, eventfd: number): void {
  const tail = new Uint8Array(4);
  new DataView(tail.buffer).setInt32(0, eventfd, true);
  const flags = IRQ_DATA_EVENTFD | IRQ_ACTION_TRIGGER;
  const fields = { flags, index: PCI_REQ_IRQ_INDEX, start: 0, count: 1 };
  call(syscalls, device, VFIO_OPS.VFIO_DEVICE_SET_IRQS, fields, tail);
}
