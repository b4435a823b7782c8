// What a typed call costs beyond the same call in C, on this machine.
import { nativeSyscalls } from '../../dist/kernel/native/syscalls.js';
import { cProgram } from '../c-program.mjs';
import { typedCallUs, WINDOW_SIZE } from '../ioctl.mjs';

const CALLS = 100_000;
let opened = null;

function prepared() {
  if (opened === null) {
    const syscalls = nativeSyscalls();
    opened = { syscalls, fd: syscalls.open('/dev/ptmx'), c: cProgram('ioctl') };
  }
  return opened;
}

export const figures = [
  {
    id: 'ioctl-overhead',
    unit: 'us',
    n: 15,
    what: 'CPU of a typed call (TIOCGWINSZ, as wide as IOMMU_HWPT_ALLOC) less the same call in C',
    against: 'the call in C',
    async measure() {
      const { syscalls, fd, c } = prepared();
      const baseline = Number(c('window', String(CALLS))) / 1000;
      const fields = { dev_id: 1, pt_id: 2, data_type: 0, data_len: 0 };
      const typed = await typedCallUs(syscalls, fd, WINDOW_SIZE, fields, CALLS);
      return { value: typed - baseline, baseline };
    },
  },
];
