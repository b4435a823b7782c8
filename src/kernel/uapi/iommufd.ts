/**
 * The ioctls of /dev/iommu, one row each, in header order.
 * Source: include/uapi/linux/iommufd.h (v6.12); drivers/iommu/iommufd/main.c for the minimum sizes.
 */
import { struct } from '../struct.ts';
import { because, type IoctlOp, ioNumber } from './op.ts';

const iommuDestroy = struct('iommu_destroy', [
  ['size', 'u32'],
  ['id', 'u32'],
]);
const iommuIoasAlloc = struct('iommu_ioas_alloc', [
  ['size', 'u32'],
  ['flags', 'u32'],
  ['out_ioas_id', 'u32'],
]);
const iommuIoasAllowIovas = struct('iommu_ioas_allow_iovas', [
  ['size', 'u32'],
  ['ioas_id', 'u32'],
  ['num_iovas', 'u32'],
  ['__reserved', 'u32'],
  ['allowed_iovas', 'ptr'],
]);
const iommuIoasCopy = struct('iommu_ioas_copy', [
  ['size', 'u32'],
  ['flags', 'u32'],
  ['dst_ioas_id', 'u32'],
  ['src_ioas_id', 'u32'],
  ['length', 'u64'],
  ['dst_iova', 'u64'],
  ['src_iova', 'u64'],
]);
const iommuIoasIovaRanges = struct('iommu_ioas_iova_ranges', [
  ['size', 'u32'],
  ['ioas_id', 'u32'],
  ['num_iovas', 'u32'],
  ['__reserved', 'u32'],
  ['allowed_iovas', 'ptr'],
  ['out_iova_alignment', 'u64'],
]);
const iommuIoasMap = struct('iommu_ioas_map', [
  ['size', 'u32'],
  ['flags', 'u32'],
  ['ioas_id', 'u32'],
  ['__reserved', 'u32'],
  ['user_va', 'ptr'],
  ['length', 'u64'],
  ['iova', 'u64'],
]);
const iommuIoasUnmap = struct('iommu_ioas_unmap', [
  ['size', 'u32'],
  ['ioas_id', 'u32'],
  ['iova', 'u64'],
  ['length', 'u64'],
]);
const iommuOption = struct('iommu_option', [
  ['size', 'u32'],
  ['option_id', 'u32'],
  ['op', 'u16'],
  ['__reserved', 'u16'],
  ['object_id', 'u32'],
  ['val64', 'u64'],
]);
const iommuVfioIoas = struct('iommu_vfio_ioas', [
  ['size', 'u32'],
  ['ioas_id', 'u32'],
  ['op', 'u16'],
  ['__reserved', 'u16'],
]);
const iommuHwptAlloc = struct('iommu_hwpt_alloc', [
  ['size', 'u32'],
  ['flags', 'u32'],
  ['dev_id', 'u32'],
  ['pt_id', 'u32'],
  ['out_hwpt_id', 'u32'],
  ['__reserved', 'u32'],
  ['data_type', 'u32'],
  ['data_len', 'u32'],
  ['data_uptr', 'ptr'],
  ['fault_id', 'u32'],
  ['__reserved2', 'u32'],
]);
const iommuHwInfo = struct('iommu_hw_info', [
  ['size', 'u32'],
  ['flags', 'u32'],
  ['dev_id', 'u32'],
  ['data_len', 'u32'],
  ['data_uptr', 'ptr'],
  ['out_data_type', 'u32'],
  ['out_max_pasid_log2', 'u8'],
  ['__reserved_0', 'u8'],
  ['__reserved_1', 'u8'],
  ['__reserved_2', 'u8'],
  ['out_capabilities', 'u64'],
]);
const iommuHwptSetDirtyTracking = struct('iommu_hwpt_set_dirty_tracking', [
  ['size', 'u32'],
  ['flags', 'u32'],
  ['hwpt_id', 'u32'],
  ['__reserved', 'u32'],
]);
const iommuHwptGetDirtyBitmap = struct('iommu_hwpt_get_dirty_bitmap', [
  ['size', 'u32'],
  ['hwpt_id', 'u32'],
  ['flags', 'u32'],
  ['__reserved', 'u32'],
  ['iova', 'u64'],
  ['length', 'u64'],
  ['page_size', 'u64'],
  ['data', 'ptr'],
]);
const iommuHwptInvalidate = struct('iommu_hwpt_invalidate', [
  ['size', 'u32'],
  ['hwpt_id', 'u32'],
  ['data_uptr', 'ptr'],
  ['data_type', 'u32'],
  ['entry_len', 'u32'],
  ['entry_num', 'u32'],
  ['__reserved', 'u32'],
]);
const iommuFaultAlloc = struct('iommu_fault_alloc', [
  ['size', 'u32'],
  ['flags', 'u32'],
  ['out_fault_id', 'u32'],
  ['out_fault_fd', 'u32'],
]);

/** `flags` of IOMMU_HWPT_ALLOC. */
export const HWPT_ALLOC_NEST_PARENT = 1;
/** `flags` of IOMMU_HWPT_ALLOC: the HWPT can track dirty pages and refuses devices that cannot. */
export const HWPT_ALLOC_DIRTY_TRACKING = 2;
/** `flags` of IOMMU_HWPT_SET_DIRTY_TRACKING: switch on; zero switches off. */
export const HWPT_DIRTY_TRACKING_ENABLE = 1;
/** `flags` of IOMMU_HWPT_GET_DIRTY_BITMAP: leave the bits as they are. */
export const HWPT_GET_DIRTY_BITMAP_NO_CLEAR = 1;
/** `op` of IOMMU_OPTION. */
export const OPTION_OP_SET = 0;
/** `op` of IOMMU_OPTION. */
export const OPTION_OP_GET = 1;
/** `option_id` of IOMMU_OPTION: per-user (0) or per-process (1) accounting of pinned pages. */
export const OPTION_RLIMIT_MODE = 0;
/** `option_id` of IOMMU_OPTION: may an IOAS use huge pages (1, the default) or only 4 KiB ones (0). */
export const OPTION_HUGE_PAGES = 1;
/** Bit of `out_capabilities` of IOMMU_GET_HW_INFO. Other bits come and go: mask, never compare. */
export const HW_CAP_DIRTY_TRACKING = 1n;

const noSuchId = because(
  'the id names no such object in this context',
  'another holder of the context destroyed it; run again to observe anew',
);
const unknownFlag = because(
  'this kernel does not know a flag of the call',
  'use a newer kernel, or leave the property out of the config',
);

/** The ioctls of an iommufd context. */
export const IOMMUFD_OPS = {
  IOMMU_DESTROY: {
    name: 'IOMMU_DESTROY',
    request: ioNumber(0x80),
    struct: iommuDestroy,
    last: 'id',
    sizeField: 'size',
    slow: true,
    errnos: {
      ENOENT: noSuchId,
      EBUSY: because(
        'something still uses the object: a device on the HWPT, or a HWPT or mdev on the IOAS',
        'see `autodomain graph` for what is attached, and detach it first',
      ),
    },
  },
  IOMMU_IOAS_ALLOC: {
    name: 'IOMMU_IOAS_ALLOC',
    request: ioNumber(0x81),
    struct: iommuIoasAlloc,
    last: 'out_ioas_id',
    sizeField: 'size',
    slow: false,
    errnos: { EOPNOTSUPP: unknownFlag },
  },
  IOMMU_IOAS_ALLOW_IOVAS: {
    name: 'IOMMU_IOAS_ALLOW_IOVAS',
    request: ioNumber(0x82),
    struct: iommuIoasAllowIovas,
    last: 'allowed_iovas',
    sizeField: 'size',
    slow: false,
    errnos: {
      ENOENT: noSuchId,
      EINVAL: because(
        'a range is empty or overlaps another',
        'correct `iova.allow`: start < last, and no overlaps',
      ),
      EADDRINUSE: because(
        'a range cuts addresses that a device of the container reserves',
        'shrink `iova.allow` around the reserved regions that `autodomain graph` shows',
      ),
    },
  },
  IOMMU_IOAS_COPY: {
    name: 'IOMMU_IOAS_COPY',
    request: ioNumber(0x83),
    struct: iommuIoasCopy,
    last: 'src_iova',
    sizeField: 'size',
    slow: true,
    errnos: { ENOENT: noSuchId },
  },
  IOMMU_IOAS_IOVA_RANGES: {
    name: 'IOMMU_IOAS_IOVA_RANGES',
    request: ioNumber(0x84),
    struct: iommuIoasIovaRanges,
    last: 'out_iova_alignment',
    sizeField: 'size',
    slow: false,
    errnos: {
      ENOENT: noSuchId,
      EMSGSIZE: because('there are more ranges than the buffer holds', 'ask again with more room'),
    },
  },
  IOMMU_IOAS_MAP: {
    name: 'IOMMU_IOAS_MAP',
    request: ioNumber(0x85),
    struct: iommuIoasMap,
    last: 'iova',
    sizeField: 'size',
    slow: true,
    errnos: {
      ENOENT: noSuchId,
      EINVAL: because(
        'the range is not aligned, is empty, or touches reserved addresses',
        'keep to the ranges and the alignment that IOMMU_IOAS_IOVA_RANGES reports',
      ),
      EEXIST: because('the range overlaps an existing mapping', 'unmap it first'),
      ENOMEM: because(
        'the pages cannot be pinned within RLIMIT_MEMLOCK',
        'raise LimitMEMLOCK= of the unit or `ulimit -l`',
      ),
    },
  },
  IOMMU_IOAS_UNMAP: {
    name: 'IOMMU_IOAS_UNMAP',
    request: ioNumber(0x86),
    struct: iommuIoasUnmap,
    last: 'length',
    sizeField: 'size',
    slow: true,
    errnos: {
      ENOENT: because(
        'nothing is mapped there, or a mapping sticks out of the range',
        'unmap whole mappings',
      ),
    },
  },
  IOMMU_OPTION: {
    name: 'IOMMU_OPTION',
    request: ioNumber(0x87),
    struct: iommuOption,
    last: 'val64',
    sizeField: 'size',
    slow: false,
    errnos: {
      ENOENT: noSuchId,
      EINVAL: because(
        'the option cannot change while the IOAS has both a HWPT and mappings',
        'empty the container first',
      ),
      EPERM: because('CAP_SYS_RESOURCE is missing', 'run as root'),
      EBUSY: because('the context already holds objects', 'set the option on a new context'),
      EOPNOTSUPP: unknownFlag,
    },
  },
  IOMMU_VFIO_IOAS: {
    name: 'IOMMU_VFIO_IOAS',
    request: ioNumber(0x88),
    struct: iommuVfioIoas,
    last: '__reserved',
    sizeField: 'size',
    slow: false,
    errnos: { ENODEV: because('the context has no compatibility IOAS', 'set one first') },
  },
  IOMMU_HWPT_ALLOC: {
    name: 'IOMMU_HWPT_ALLOC',
    request: ioNumber(0x89),
    struct: iommuHwptAlloc,
    last: '__reserved',
    sizeField: 'size',
    slow: true,
    errnos: {
      ENOENT: because(
        'the device is not bound to this context, or it is an mdev, which has no page table of its own',
        'run again to observe anew',
      ),
      EINVAL: because(
        'the IOAS is gone, or the page sizes of the IOMMU do not suit this kernel',
        'run again to observe anew; if it stays, see the kernel log',
      ),
      EOPNOTSUPP: because(
        'the IOMMU of the device cannot give a page table with the properties asked for (dirty tracking, nesting)',
        'see its capabilities with `autodomain graph`; use `dirtyTracking.mode: preferred`, or another device',
      ),
      EADDRINUSE: because(
        "`iova.allow` or a mapping lies outside the IOMMU's aperture",
        'shrink `iova.allow` to the aperture that the address width of the IOMMU gives',
      ),
      EFAULT: because(
        'pages that are mapped in the IOAS cannot be pinned any more',
        'the process that mapped them may be gone; empty the container',
      ),
      ENOMEM: because(
        'no memory for the page table, or RLIMIT_MEMLOCK is reached',
        'raise LimitMEMLOCK= of the unit or `ulimit -l`',
      ),
    },
  },
  IOMMU_GET_HW_INFO: {
    name: 'IOMMU_GET_HW_INFO',
    request: ioNumber(0x8a),
    struct: iommuHwInfo,
    last: '__reserved_2',
    sizeField: 'size',
    slow: false,
    errnos: {
      ENOENT: noSuchId,
      EOPNOTSUPP: because(
        'the device has no IOMMU behind it',
        'do not use it: nothing limits what memory it can reach',
      ),
    },
  },
  IOMMU_HWPT_SET_DIRTY_TRACKING: {
    name: 'IOMMU_HWPT_SET_DIRTY_TRACKING',
    request: ioNumber(0x8b),
    struct: iommuHwptSetDirtyTracking,
    last: '__reserved',
    sizeField: 'size',
    slow: true,
    errnos: {
      ENOENT: noSuchId,
      EOPNOTSUPP: because(
        'the HWPT was not allocated with IOMMU_HWPT_ALLOC_DIRTY_TRACKING',
        'set `dirtyTracking.mode: required`; a new HWPT is then allocated',
      ),
    },
  },
  IOMMU_HWPT_GET_DIRTY_BITMAP: {
    name: 'IOMMU_HWPT_GET_DIRTY_BITMAP',
    request: ioNumber(0x8c),
    struct: iommuHwptGetDirtyBitmap,
    last: 'data',
    sizeField: 'size',
    slow: true,
    errnos: {
      ENOENT: noSuchId,
      EINVAL: because('the range or the page size is empty or not aligned', 'correct the range'),
      EOPNOTSUPP: because('the HWPT cannot track dirty pages', 'allocate one that can'),
    },
  },
  IOMMU_HWPT_INVALIDATE: {
    name: 'IOMMU_HWPT_INVALIDATE',
    request: ioNumber(0x8d),
    struct: iommuHwptInvalidate,
    last: '__reserved',
    sizeField: 'size',
    slow: false,
    errnos: { ENOENT: noSuchId },
  },
  IOMMU_FAULT_QUEUE_ALLOC: {
    name: 'IOMMU_FAULT_QUEUE_ALLOC',
    request: ioNumber(0x8e),
    struct: iommuFaultAlloc,
    last: 'out_fault_fd',
    sizeField: 'size',
    slow: false,
    errnos: { EOPNOTSUPP: unknownFlag },
  },
} as const satisfies Record<string, IoctlOp>;
