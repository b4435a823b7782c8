// What it takes to bring NVMe functions into a container and out again on a real kernel, all at once
// beside one after another, and beside C that makes QEMU's calls; and what a typed call costs there.
import { labFigures } from '../lab/boot.mjs';

const collected = (id, unit, what, against) => ({
  id,
  unit,
  what,
  against,
  lab: true,
  collect: async () => (await labFigures())[id],
});

const COUNTS = [1, 4, 16];
const functions = (count) => (count === 1 ? '1 NVMe function' : `${count} NVMe functions`);

export const figures = [
  ...COUNTS.map((count) =>
    collected(
      `converge-nvme-${count}`,
      'ms',
      `${functions(count)} observed, planned, opened, attached and verified`,
      'the same one after another',
    ),
  ),
  ...COUNTS.map((count) =>
    collected(
      `teardown-nvme-${count}`,
      'ms',
      `${functions(count)} observed, planned, detached, closed and verified`,
      'the same one after another',
    ),
  ),
  collected(
    'iommufd-ioctl-overhead',
    'us',
    'CPU of a typed call (IOMMU_OPTION) less the same call in C, in the guest',
    'the call in C',
  ),
];
