/**
 * The one ioctl of iommufd's selftest, a row for each of its operations that the tests use: the
 * struct is the same 72 bytes, the union in its middle has other fields.
 * Source: drivers/iommu/iommufd/iommufd_test.h, struct iommu_test_cmd (v6.12).
 */
import { type FieldRow, type Struct, struct } from '../../src/kernel/struct.ts';
import { type IoctlOp, ioNumber } from '../../src/kernel/uapi/op.ts';

/** The request number that all operations share. */
export const IOMMU_TEST_REQUEST = ioNumber(0xa0);

/** `dev_flags`: the device's IOMMU cannot track. */
export const MOCK_NO_DIRTY = 1;
/** `flags` of CREATE_ACCESS: the access pins pages, as an mdev does. */
export const ACCESS_PINS = 1;
/** What the mock's page tables translate, and their page, in bytes. */
export const MOCK_APERTURE = { start: 0x100_0000n, last: 0x7fff_ffffn };
export const MOCK_PAGE = 2048n;
/** `data_type` and `data_len` of a nested HWPT, `data_type` of its invalidation, type of the hardware info. */
export const MOCK_NESTED = { type: 0xdead, lengthBytes: 4, invalidation: 0xdeadbeef };
export const MOCK_HW_INFO_TYPE = 0xfeedbeef;
export const MOCK_HW_INFO_REGISTER = 0xdeadbeef;

const HEAD = [
  ['size', 'u32'],
  ['op', 'u32'],
  ['id', 'u32'],
  ['__reserved', 'u32'],
] as const;

/** A row of the selftest's ioctl; `number` goes into the field `op`. */
export interface MockOp<S extends Struct = Struct> extends IoctlOp {
  readonly struct: S;
  readonly number: number;
}

function operation<const Rows extends readonly FieldRow[]>(
  number: number,
  union: Rows,
): MockOp<Struct<readonly [...typeof HEAD, ...Rows, readonly ['last', 'u32']]>> {
  return {
    name: 'IOMMU_TEST_CMD',
    request: IOMMU_TEST_REQUEST,
    struct: struct('iommu_test_cmd', [...HEAD, ...union, ['last', 'u32']]),
    last: 'last',
    sizeField: 'size',
    slow: false,
    errnos: {},
    number,
  };
}

const MOCK_DOMAIN_UNION = [
  ['stdev_id', 'u32'],
  ['hwpt_id', 'u32'],
  ['idev_id', 'u32'],
  ['dev_flags', 'u32'],
  ['pad_32', 'u64'],
  ['pad_40', 'u64'],
  ['pad_48', 'u64'],
  ['pad_56', 'u64'],
] as const;

/** The operations, by the kernel's names without IOMMU_TEST_OP_. */
export const MOCK_OPS = {
  ADD_RESERVED: operation(1, [
    ['start', 'u64'],
    ['length', 'u64'],
    ['pad_32', 'u64'],
    ['pad_40', 'u64'],
    ['pad_48', 'u64'],
    ['pad_56', 'u64'],
  ]),
  MOCK_DOMAIN: operation(2, MOCK_DOMAIN_UNION),
  MD_CHECK_MAP: operation(3, [
    ['iova', 'u64'],
    ['length', 'u64'],
    ['uptr', 'ptr'],
    ['pad_40', 'u64'],
    ['pad_48', 'u64'],
    ['pad_56', 'u64'],
  ]),
  /** EIO where a page of the memory is pinned more or less often than `refs`. */
  MD_CHECK_REFS: operation(4, [
    ['length', 'u64'],
    ['uptr', 'ptr'],
    ['refs', 'u32'],
    ['pad_36', 'u32'],
    ['pad_40', 'u64'],
    ['pad_48', 'u64'],
    ['pad_56', 'u64'],
  ]),
  CREATE_ACCESS: operation(5, [
    ['out_access_fd', 'u32'],
    ['flags', 'u32'],
    ['pad_24', 'u64'],
    ['pad_32', 'u64'],
    ['pad_40', 'u64'],
    ['pad_48', 'u64'],
    ['pad_56', 'u64'],
  ]),
  MOCK_DOMAIN_REPLACE: operation(10, [
    ['pt_id', 'u32'],
    ['pad_20', 'u32'],
    ['pad_24', 'u64'],
    ['pad_32', 'u64'],
    ['pad_40', 'u64'],
    ['pad_48', 'u64'],
    ['pad_56', 'u64'],
  ]),
  ACCESS_REPLACE_IOAS: operation(11, [
    ['ioas_id', 'u32'],
    ['pad_20', 'u32'],
    ['pad_24', 'u64'],
    ['pad_32', 'u64'],
    ['pad_40', 'u64'],
    ['pad_48', 'u64'],
    ['pad_56', 'u64'],
  ]),
  MOCK_DOMAIN_FLAGS: operation(12, MOCK_DOMAIN_UNION),
  DIRTY: operation(13, [
    ['flags', 'u32'],
    ['pad_20', 'u32'],
    ['iova', 'u64'],
    ['length', 'u64'],
    ['page_size', 'u64'],
    ['uptr', 'ptr'],
    ['out_nr_dirty', 'u64'],
  ]),
} as const;
