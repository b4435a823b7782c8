// The cost of a typed call beyond the same call in C: encode, the way through koffi, decode. Used on
// this machine with an ioctl that every machine has, and in the lab with one of iommufd.
import { call } from '../dist/kernel/call.js';
import { struct } from '../dist/kernel/struct.js';
import { cpuMs } from './cpu.mjs';

/**
 * TIOCGWINSZ on a new pseudo-terminal: no privilege, no device, and it does next to nothing. Declared as
 * wide as IOMMU_HWPT_ALLOC, the widest quick struct of iommufd; the kernel uses the first eight bytes.
 */
export const WINDOW_SIZE = {
  name: 'TIOCGWINSZ',
  request: 0x5413,
  struct: struct('winsize', [
    ['ws_row', 'u16'],
    ['ws_col', 'u16'],
    ['ws_xpixel', 'u16'],
    ['ws_ypixel', 'u16'],
    ['dev_id', 'u32'],
    ['pt_id', 'u32'],
    ['out_hwpt_id', 'u32'],
    ['__reserved', 'u32'],
    ['data_type', 'u32'],
    ['data_len', 'u32'],
    ['data_uptr', 'ptr'],
    ['fault_id', 'u32'],
    ['__reserved2', 'u32'],
  ]),
  last: 'ws_ypixel',
  sizeField: null,
  slow: false,
  errnos: {},
};

/** Microseconds of CPU a typed call, as the mean of so many. */
export async function typedCallUs(syscalls, fd, op, fields, count) {
  const ms = await cpuMs(() => {
    for (let i = 0; i < count; i += 1) call(syscalls, fd, op, fields);
  });
  return (ms * 1000) / count;
}
