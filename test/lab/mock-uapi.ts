/**
 * The one ioctl of iommufd's selftest, as far as the lab uses it: the union shows the fields of
 * MOCK_DOMAIN and MOCK_DOMAIN_FLAGS; MOCK_DOMAIN_REPLACE has its pt_id where stdev_id stands.
 * Source: drivers/iommu/iommufd/iommufd_test.h, struct iommu_test_cmd (v6.12).
 */
import { struct } from '../../src/kernel/struct.ts';
import { type IoctlOp, ioNumber } from '../../src/kernel/uapi/op.ts';

const iommuTestCmd = struct('iommu_test_cmd', [
  ['size', 'u32'],
  ['op', 'u32'],
  ['id', 'u32'],
  ['__reserved', 'u32'],
  ['stdev_id', 'u32'],
  ['hwpt_id', 'u32'],
  ['idev_id', 'u32'],
  ['dev_flags', 'u32'],
  ['union_32', 'u64'],
  ['union_40', 'u64'],
  ['union_48', 'u64'],
  ['union_56', 'u64'],
  ['last', 'u32'],
]);

/** The selftest's ioctl. */
export const IOMMU_TEST_CMD = {
  name: 'IOMMU_TEST_CMD',
  request: ioNumber(0xa0),
  struct: iommuTestCmd,
  last: 'last',
  sizeField: 'size',
  slow: false,
  errnos: {},
} as const satisfies IoctlOp;

export const MOCK_DOMAIN = 2;
export const MOCK_DOMAIN_REPLACE = 10;
export const MOCK_DOMAIN_FLAGS = 12;
/** `dev_flags`: the device's IOMMU cannot track. */
export const MOCK_NO_DIRTY = 1;
