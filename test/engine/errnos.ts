/** Every errno that a system call can give: an ioctl by its row, the others by what the kernel documents. */
import { ALL_OPS } from '../../src/kernel/uapi/index.ts';
import type { IoctlOp } from '../../src/kernel/uapi/op.ts';

/** open of /dev/iommu or of a device file, and of a sysfs file for writing; any of them may lack files or memory. */
const OPEN = ['EACCES', 'EMFILE', 'ENFILE', 'ENODEV', 'ENOENT', 'ENOMEM'];

/** Writes to sysfs by the file: `bind` passes on what the driver's probe says, `unbind` only whether it is its device. */
const WRITES: readonly (readonly [RegExp, readonly string[]])[] = [
  [/\/bind$/, ['EAGAIN', 'EBUSY', 'EINVAL', 'ENODEV', 'ENOMEM']],
  [/\/unbind$/, ['ENODEV']],
  [/\/driver_override$/, ['EACCES', 'EINVAL', 'ENODEV', 'ENOENT', 'ENOMEM']],
];

/** Reads of sysfs: the device may be gone, or the process without files or memory. */
export const READ_ERRNOS = ['EACCES', 'EIO', 'EMFILE', 'ENODEV', 'ENOENT', 'ENOMEM'];

/** The errnos of a call that changes something, by the name under which the simulator records it. */
export function errnosOf(call: string): readonly string[] {
  if (call.startsWith('open ')) return OPEN;
  // A close that says EIO or EINTR has closed all the same: the kernel never keeps the file.
  if (call === 'close') return [];
  if (call.startsWith('write ')) return WRITES.find(([path]) => path.test(call))?.[1] ?? [];
  const op: IoctlOp | undefined = ALL_OPS[call as keyof typeof ALL_OPS];
  if (op === undefined) throw new Error(`${call} is in no table`);
  // Every ioctl can give these two, whatever its row says of their causes.
  return [...new Set([...Object.keys(op.errnos), 'ENOMEM', 'EFAULT'])];
}
