/**
 * The ioctls of a VFIO device, one row each, in header order.
 * Source: include/uapi/linux/vfio.h (v6.12).
 */
import { struct } from '../struct.ts';
import { because, type IoctlOp, ioNumber } from './op.ts';

const vfioDeviceInfo = struct('vfio_device_info', [
  ['argsz', 'u32'],
  ['flags', 'u32'],
  ['num_regions', 'u32'],
  ['num_irqs', 'u32'],
  ['cap_offset', 'u32'],
  ['pad', 'u32'],
]);
const vfioIrqSet = struct('vfio_irq_set', [
  ['argsz', 'u32'],
  ['flags', 'u32'],
  ['index', 'u32'],
  ['start', 'u32'],
  ['count', 'u32'],
]);
const vfioDeviceReset = struct('vfio_device_reset', []);
const vfioPciHotResetInfo = struct('vfio_pci_hot_reset_info', [
  ['argsz', 'u32'],
  ['flags', 'u32'],
  ['count', 'u32'],
]);
const vfioPciHotReset = struct('vfio_pci_hot_reset', [
  ['argsz', 'u32'],
  ['flags', 'u32'],
  ['count', 'u32'],
]);
const vfioDeviceFeature = struct('vfio_device_feature', [
  ['argsz', 'u32'],
  ['flags', 'u32'],
]);
const vfioDeviceBindIommufd = struct('vfio_device_bind_iommufd', [
  ['argsz', 'u32'],
  ['flags', 'u32'],
  ['iommufd', 's32'],
  ['out_devid', 'u32'],
]);
const vfioDeviceAttachIommufdPt = struct('vfio_device_attach_iommufd_pt', [
  ['argsz', 'u32'],
  ['flags', 'u32'],
  ['pt_id', 'u32'],
]);
const vfioDeviceDetachIommufdPt = struct('vfio_device_detach_iommufd_pt', [
  ['argsz', 'u32'],
  ['flags', 'u32'],
]);

/** `flags` of VFIO_DEVICE_SET_IRQS: nothing follows the struct; the interrupt is tried out, or taken away. */
export const IRQ_DATA_NONE = 1;
/** `flags` of VFIO_DEVICE_SET_IRQS: a byte for each interrupt follows, to try it out or not. */
export const IRQ_DATA_BOOL = 2;
/** `flags` of VFIO_DEVICE_SET_IRQS: an eventfd (s32) for each interrupt follows; -1 takes it away. */
export const IRQ_DATA_EVENTFD = 4;
/** `flags` of VFIO_DEVICE_SET_IRQS: what is done when the interrupt comes. */
export const IRQ_ACTION_TRIGGER = 0x20;
/** `index` of VFIO_DEVICE_SET_IRQS on a PCI function: the kernel asks for the device back. */
export const PCI_REQ_IRQ_INDEX = 4;

/** Low 16 bits of `flags` of VFIO_DEVICE_FEATURE. */
export const FEATURE_MIGRATION = 1;
/** Low 16 bits of `flags` of VFIO_DEVICE_FEATURE: device dirty tracking. */
export const FEATURE_DMA_LOGGING_START = 6;
/** `flags` of VFIO_DEVICE_FEATURE: read the feature. */
export const FEATURE_GET = 0x10000;
/** `flags` of VFIO_DEVICE_FEATURE: only ask whether it is there; without side effects. */
export const FEATURE_PROBE = 0x40000;

const notBound = because(
  'the device file is not bound to an iommufd context, or the call is malformed',
  'run again to observe anew',
);

/** The ioctls of a VFIO device file. */
export const VFIO_OPS = {
  VFIO_DEVICE_GET_INFO: {
    name: 'VFIO_DEVICE_GET_INFO',
    request: ioNumber(0x6b),
    struct: vfioDeviceInfo,
    last: 'num_irqs',
    sizeField: 'argsz',
    slow: false,
    errnos: { EINVAL: notBound },
  },
  VFIO_DEVICE_SET_IRQS: {
    name: 'VFIO_DEVICE_SET_IRQS',
    request: ioNumber(0x6e),
    struct: vfioIrqSet,
    last: 'count',
    sizeField: 'argsz',
    slow: false,
    errnos: {
      EINVAL: because(
        'the device is not bound to an iommufd context, has no such interrupt, or the eventfd is none',
        'run again to observe anew',
      ),
      EBADF: because('the eventfd was closed', 'this is a defect; please report it'),
      ENOTTY: because('the interrupt of this device cannot be set so', 'nothing to do'),
    },
  },
  VFIO_DEVICE_RESET: {
    name: 'VFIO_DEVICE_RESET',
    request: ioNumber(0x6f),
    struct: vfioDeviceReset,
    last: null,
    sizeField: null,
    slow: true,
    errnos: {
      EINVAL: because(
        'the device has no working reset',
        'see `reset_method` of the device in sysfs',
      ),
      EAGAIN: because('someone else is resetting or configuring the device', 'try again'),
    },
  },
  VFIO_DEVICE_GET_PCI_HOT_RESET_INFO: {
    name: 'VFIO_DEVICE_GET_PCI_HOT_RESET_INFO',
    request: ioNumber(0x70),
    struct: vfioPciHotResetInfo,
    last: 'count',
    sizeField: 'argsz',
    slow: false,
    errnos: {
      EINVAL: notBound,
      ENOSPC: because('more devices are affected than the buffer holds', 'ask with more room'),
      ENODEV: because('neither a slot nor a bus reset is possible here', 'nothing to do'),
    },
  },
  VFIO_DEVICE_PCI_HOT_RESET: {
    name: 'VFIO_DEVICE_PCI_HOT_RESET',
    request: ioNumber(0x71),
    struct: vfioPciHotReset,
    last: 'count',
    sizeField: 'argsz',
    slow: true,
    errnos: {
      EINVAL: because(
        'a device that the reset would hit is not in this context',
        'put the whole reset set into one context',
      ),
    },
  },
  VFIO_DEVICE_FEATURE: {
    name: 'VFIO_DEVICE_FEATURE',
    request: ioNumber(0x75),
    struct: vfioDeviceFeature,
    last: 'flags',
    sizeField: 'argsz',
    slow: false,
    errnos: {
      EINVAL: notBound,
      ENOTTY: because('the device lacks the feature', 'choose a device whose driver has it'),
    },
  },
  VFIO_DEVICE_BIND_IOMMUFD: {
    name: 'VFIO_DEVICE_BIND_IOMMUFD',
    request: ioNumber(0x76),
    struct: vfioDeviceBindIommufd,
    last: 'out_devid',
    sizeField: 'argsz',
    slow: true,
    errnos: {
      EINVAL: because(
        'someone else has the device bound, its DMA is not coherent, or its group has a region that firmware reserves (RMRR, unity map)',
        'look for the holder with `autodomain graph`, and for `direct` in the reserved_regions of the group',
      ),
      EBUSY: because(
        'a process has the legacy group file /dev/vfio/GROUP open, or the group is in another domain',
        'stop the process that holds the group',
      ),
      EPERM: because(
        'a member of the IOMMU group belongs to a native driver or to another iommufd context, or interrupts are not isolated',
        'unbind the other members of the group; enable interrupt remapping in the firmware',
      ),
      EACCES: because(
        'the device is a VF whose PF is on vfio-pci and demands a VF token',
        'bind the PF to its native driver; VF tokens are not supported yet',
      ),
      EBADF: because('the iommufd file was closed', 'run again'),
      EBADFD: because('the file is not /dev/iommu', 'this is a defect; please report it'),
      ENODEV: because(
        'the device has no IOMMU group, or its driver is going away',
        'enable the IOMMU in firmware and on the kernel command line',
      ),
      EAGAIN: because(
        'someone else is binding, resetting or configuring the device',
        'try again once that has ended',
      ),
      EIO: because('the device did not wake up', 'see the kernel log'),
    },
  },
  VFIO_DEVICE_ATTACH_IOMMUFD_PT: {
    name: 'VFIO_DEVICE_ATTACH_IOMMUFD_PT',
    request: ioNumber(0x77),
    struct: vfioDeviceAttachIommufdPt,
    last: 'pt_id',
    sizeField: 'argsz',
    slow: true,
    errnos: {
      EINVAL: because(
        'the HWPT does not suit the IOMMU of the device, or its group is on another HWPT',
        'see `autodomain graph` for the group and the capabilities of its IOMMU',
      ),
      ENOENT: because(
        'the page table is gone, or a HWPT was given for an mdev',
        'run again to observe anew',
      ),
      EADDRINUSE: because(
        'the device reserves addresses that are mapped or listed in `iova.allow`',
        'shrink `iova.allow` around the reserved regions that `autodomain graph` shows',
      ),
      EBUSY: because(
        'a device of the group is being reset, or a detach is under way',
        'try again once the reset has ended',
      ),
      ENOSPC: because(
        'the IOMMU has no free domain id',
        'use fewer HWPTs on this IOMMU: see domains_used in sysfs',
      ),
      EOPNOTSUPP: because('the IOMMU driver cannot allocate a page table', 'use another device'),
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
  VFIO_DEVICE_DETACH_IOMMUFD_PT: {
    name: 'VFIO_DEVICE_DETACH_IOMMUFD_PT',
    request: ioNumber(0x78),
    struct: vfioDeviceDetachIommufdPt,
    last: 'flags',
    sizeField: 'argsz',
    slow: true,
    errnos: { EINVAL: notBound },
  },
} as const satisfies Record<string, IoctlOp>;
