/** Makes one operation of the selftest's ioctl. */
import { call } from '../../src/kernel/call.ts';
import type { Fd, Syscalls } from '../../src/kernel/port.ts';
import type { FieldsIn, FieldsOut } from '../../src/kernel/struct.ts';
import type { MockOp } from './mock-uapi.ts';

/** What the operation gave back. Throws KernelError. */
export function callMock<O extends MockOp>(
  syscalls: Syscalls,
  iommufd: Fd,
  op: O,
  fields: FieldsIn<O['struct']>,
): FieldsOut<O['struct']> {
  return call(syscalls, iommufd, op, { ...fields, op: op.number }).out;
}
