/**
 * How long a call may be in the kernel before it counts as stuck. Not a time-out: nothing can take a call
 * back. It only ends the waiting for it, so a deadline stands above what the kernel itself may wait.
 */

const SECOND = 1000;

/**
 * A reset. A function that does not come back is polled for 60 s (PCIE_RESET_READY_POLL_MS in
 * drivers/pci/pci.c, v6.12), after up to a second of link training and 100 ms of reset.
 */
const RESET_MS = 70 * SECOND;

/**
 * Work that grows with what is mapped: HWPT_ALLOC copies every mapping of the IOAS, the last destroy
 * unpins it. Tens of milliseconds for 256 MiB come to two to three minutes for a TiB.
 */
const MAPPED_MS = 300 * SECOND;

/**
 * A driver's probe or remove. The kernel sets no limit: an unbind from vfio-pci waits until the last file
 * of the device is closed. A healthy one takes milliseconds, and behind a reset as long as that.
 */
const DRIVER_MS = RESET_MS;

/** Attach, detach, replace, a switch of tracking: locks and invalidations, behind a reset of a mate at worst. */
const OTHER_MS = RESET_MS;

const DEADLINES_MS: Readonly<Record<string, number>> = {
  VFIO_DEVICE_BIND_IOMMUFD: RESET_MS,
  VFIO_DEVICE_RESET: RESET_MS,
  VFIO_DEVICE_PCI_HOT_RESET: RESET_MS,
  IOMMU_HWPT_ALLOC: MAPPED_MS,
  IOMMU_DESTROY: MAPPED_MS,
  close: MAPPED_MS,
  'close of a device': RESET_MS,
  write: DRIVER_MS,
};

/** The deadline of a call by its name, in milliseconds. */
export function deadlineOf(call: string): number {
  return DEADLINES_MS[call] ?? OTHER_MS;
}
