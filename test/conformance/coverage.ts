/**
 * Every errno of every ioctl: which suite provokes it, on the simulator and on the kernel alike, or
 * where it is written down that the kernel gives it. Data; `errno-coverage.test.ts` and the suites
 * hold it against what happens.
 */
import type { OpName } from '../../src/kernel/uapi/index.ts';

/** `vfio`: provoked by the suite over device files; `mock`: by the suite over the selftest. */
export type Provoked = 'vfio' | 'mock';

/** Provoked by those suites, or modelled and not run, with the kernel's function that gives it and why no lab shows it. */
export type Coverage =
  | { readonly run: readonly Provoked[] }
  | { readonly modelled: string; readonly because: string };

const both: Coverage = { run: ['vfio', 'mock'] };
const vfio: Coverage = { run: ['vfio'] };
const mock: Coverage = { run: ['mock'] };
const modelled = (source: string, because: string): Coverage => ({ modelled: source, because });

const noMemory = modelled(
  'pages.c: do_update_pinned, and every kzalloc',
  'root is not limited; the sweeps of injected failures in the lab give it',
);
const raced = modelled('io_pagetable.c: iopt_unmap_iova_range', 'a race of two threads');
const sizes = { E2BIG: both } as const;

/** The table. E2BIG is the size rule of iommufd's dispatcher; VFIO reads what it knows and has no such rule. */
export const COVERAGE: Readonly<Record<OpName, Readonly<Record<string, Coverage>>>> = {
  IOMMU_DESTROY: { ...sizes, EINVAL: both, ENOENT: both, EBUSY: both },
  IOMMU_IOAS_ALLOC: { ...sizes, EINVAL: both, EOPNOTSUPP: both, ENOMEM: noMemory },
  IOMMU_IOAS_ALLOW_IOVAS: {
    ...sizes,
    ENOENT: both,
    EINVAL: both,
    EADDRINUSE: both,
    EOPNOTSUPP: both,
    EFAULT: both,
    ENOMEM: noMemory,
  },
  IOMMU_IOAS_COPY: {
    ...sizes,
    ENOENT: both,
    EINVAL: both,
    EOPNOTSUPP: both,
    EOVERFLOW: both,
    EEXIST: both,
    EPERM: both,
    ENOSPC: mock,
    ENOMEM: noMemory,
  },
  IOMMU_IOAS_IOVA_RANGES: {
    ...sizes,
    EINVAL: both,
    ENOENT: both,
    EMSGSIZE: both,
    EOPNOTSUPP: both,
    EFAULT: both,
  },
  IOMMU_IOAS_MAP: {
    ...sizes,
    ENOENT: both,
    EINVAL: both,
    EEXIST: both,
    EOPNOTSUPP: both,
    EOVERFLOW: both,
    ENOSPC: mock,
    EFAULT: both,
    ENOMEM: noMemory,
  },
  IOMMU_IOAS_UNMAP: {
    ...sizes,
    ENOENT: both,
    EINVAL: both,
    EOVERFLOW: both,
    EBUSY: raced,
    EDEADLK: modelled(
      'io_pagetable.c: iopt_unmap_iova_range',
      'an in-kernel user that ignores a hundred requests to let go',
    ),
  },
  IOMMU_OPTION: {
    ...sizes,
    ENOENT: both,
    EINVAL: both,
    EPERM: modelled('ioas.c: iommufd_option_rlimit_mode', 'the lab runs as root'),
    EBUSY: both,
    EOPNOTSUPP: both,
    EADDRINUSE: both,
  },
  IOMMU_VFIO_IOAS: { ...sizes, EINVAL: both, ENODEV: both },
  IOMMU_HWPT_ALLOC: {
    ...sizes,
    ENOENT: both,
    EINVAL: both,
    EOPNOTSUPP: both,
    EADDRINUSE: both,
    EFAULT: both,
    ENOMEM: noMemory,
  },
  IOMMU_GET_HW_INFO: { ...sizes, EINVAL: both, ENOENT: both, EOPNOTSUPP: both, EFAULT: both },
  IOMMU_HWPT_SET_DIRTY_TRACKING: {
    ...sizes,
    EINVAL: both,
    ENOENT: both,
    EOPNOTSUPP: both,
    ENODEV: modelled(
      'intel/iommu.c: intel_iommu_set_dirty_tracking',
      "the lab's VT-d cannot track dirty pages",
    ),
  },
  IOMMU_HWPT_GET_DIRTY_BITMAP: {
    ...sizes,
    ENOENT: both,
    EINVAL: both,
    EOPNOTSUPP: both,
    EOVERFLOW: both,
  },
  IOMMU_HWPT_INVALIDATE: { ...sizes, ENOENT: both, EINVAL: both },
  IOMMU_FAULT_QUEUE_ALLOC: {
    ...sizes,
    EINVAL: both,
    EOPNOTSUPP: both,
    EMFILE: modelled('fault.c: iommufd_fault_alloc', 'the process would have no file left'),
  },
  VFIO_DEVICE_GET_INFO: { EINVAL: vfio },
  VFIO_DEVICE_SET_IRQS: { EINVAL: vfio, EBADF: vfio, ENOTTY: vfio },
  VFIO_DEVICE_RESET: {
    EINVAL: vfio,
    EAGAIN: modelled('vfio_pci_core.c: vfio_pci_ioctl_reset', 'a race with another reset'),
    ENOTTY: modelled('pci.c: __pci_reset_function_locked', 'a device whose resets all fail'),
  },
  VFIO_DEVICE_GET_PCI_HOT_RESET_INFO: {
    EINVAL: vfio,
    ENOSPC: vfio,
    ENODEV: vfio,
    EAGAIN: modelled(
      'vfio_pci_core.c: vfio_pci_ioctl_get_pci_hot_reset_info',
      'a bus that changes while it is asked',
    ),
  },
  VFIO_DEVICE_PCI_HOT_RESET: {
    EINVAL: vfio,
    ENOTTY: modelled('pci.c: pci_reset_bus', 'takes a second for a link that never comes up'),
  },
  VFIO_DEVICE_FEATURE: { EINVAL: vfio, ENOTTY: vfio },
  VFIO_DEVICE_BIND_IOMMUFD: {
    EINVAL: vfio,
    EBUSY: vfio,
    EPERM: vfio,
    EBADF: vfio,
    EBADFD: vfio,
    EACCES: modelled(
      'vfio_pci_core.c: vfio_pci_core_match_token_uuid',
      'from 6.17 on, and only for VFs whose PF is on vfio-pci',
    ),
    ENODEV: modelled(
      'group.c: vfio_device_set_group',
      'a function without a group gets no device file; or its module goes',
    ),
    EAGAIN: modelled('vfio_pci_core.c: vfio_pci_core_enable', 'a race with a reset'),
    EIO: modelled('vfio_pci_core.c: vfio_pci_core_enable', 'a device that does not wake up'),
  },
  VFIO_DEVICE_ATTACH_IOMMUFD_PT: {
    EINVAL: vfio,
    ENOENT: vfio,
    EADDRINUSE: vfio,
    EFAULT: vfio,
    EBUSY: modelled(
      'iommu.c: __iommu_group_set_domain while pci_dev_reset_iommu_prepare',
      'from 7.0 on, and only for devices with ATS in a reset',
    ),
    ENOSPC: modelled('intel/iommu.c: domain_attach_iommu', 'needs 65,536 HWPTs on one unit'),
    ENODEV: modelled('intel/nested.c: intel_nested_attach_dev', 'needs nested translation'),
    EOPNOTSUPP: modelled(
      'iommu.c: iommu_paging_domain_alloc',
      'needs a driver that cannot allocate page tables',
    ),
    ENOMEM: noMemory,
  },
  VFIO_DEVICE_DETACH_IOMMUFD_PT: { EINVAL: vfio },
};

/** What no lab kernel shows beyond single errnos: behaviour that the simulator models from the source. */
export const MODELLED_BEHAVIOUR: readonly {
  readonly what: string;
  readonly source: string;
}[] = [
  {
    what: 'two IOMMUs that share no page table: snoop control, dirty tracking, address width',
    source: 'intel/iommu.c: prepare_domain_attach_device',
  },
  {
    what: 'a page table of one ARM SMMU that another refuses',
    source: 'arm-smmu-v3.c: arm_smmu_attach_dev',
  },
  {
    what: 'a failed replace inside one IOAS that drops the reserved ranges of attached members',
    source: 'device.c: iommufd_device_do_replace',
  },
  {
    what: 'a group with a region that firmware reserves and maps one to one',
    source: 'iommu.c: iommu_group_claim_dma_owner, iommu_create_device_direct_mappings',
  },
  {
    what: 'interrupts that are not isolated',
    source: 'device.c: iommufd_device_bind',
  },
  {
    what: 'dirty tracking of real hardware',
    source: 'intel/iommu.c: intel_iommu_read_and_clear_dirty; the mock shows the same interface',
  },
];

/** The rows that a suite has to provoke, as `IOCTL ERRNO`. */
export function provokedBy(suite: Provoked): readonly string[] {
  return Object.entries(COVERAGE).flatMap(([op, errnos]) =>
    Object.entries(errnos)
      .filter(([, how]) => 'run' in how && how.run.includes(suite))
      .map(([errno]) => `${op} ${errno}`),
  );
}
