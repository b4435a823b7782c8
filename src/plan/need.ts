/** What a HWPT must be able to do for a device, or why the device cannot do what its container requires. */
import type { Device, Iommu } from '../graph/types.ts';
import type { ContainerSpec } from '../spec/config.ts';
import type { HwptFlags } from '../steps/def.ts';
import type { BlockerCause } from './types.ts';

/** The properties that the HWPT of a device needs. Total: what the device cannot give is the business of `dirtyBlocker`. */
export function needOf(spec: ContainerSpec, device: Device, iommu: Iommu | null): HwptFlags {
  return { dirtyTracking: needsDirty(spec, device, iommu), nesting: spec.nesting };
}

function needsDirty(spec: ContainerSpec, device: Device, iommu: Iommu | null): boolean {
  const { mode, by } = spec.dirtyTracking;
  if (mode === 'none' || by === 'device' || device.kind === 'mdev') return false;
  if (mode === 'preferred') return iommu?.dirtyTracking === 'yes';
  if (by === 'iommu') return true;
  return iommu?.dirtyTracking !== 'no' && device.tracking.device !== 'yes'
    ? true
    : iommu?.dirtyTracking === 'yes';
}

/** Why the device cannot track as its container requires; null: it can, or nobody knows better yet. */
export function dirtyBlocker(
  spec: ContainerSpec,
  device: Device,
  iommu: Iommu | null,
): BlockerCause | null {
  const { mode, by, active } = spec.dirtyTracking;
  if (mode !== 'required') return null;
  const byIommu = device.kind === 'pci' && iommu?.dirtyTracking !== 'no' && by !== 'device';
  if (byIommu) return null;
  const byDevice = by !== 'iommu' && device.tracking.device === 'yes';
  if (byDevice) return active ? { kind: 'device-tracking-not-yet', device: device.key } : null;
  return {
    kind: 'dirty-tracking-unsupported',
    device: device.key,
    iommu: iommu?.name ?? null,
    by,
    missing: missingCapability(device, iommu, by),
  };
}

function missingCapability(
  device: Device,
  iommu: Iommu | null,
  by: ContainerSpec['dirtyTracking']['by'],
): string {
  const ofDevice =
    device.tracking.device === 'no'
      ? 'its driver offers no DMA logging (VFIO feature 6)'
      : 'whether its driver offers DMA logging (VFIO feature 6) is not known: only an open device can be asked';
  if (by === 'device') return ofDevice;
  const ofIommu =
    device.kind === 'mdev' ? 'an mdev has no IOMMU page table' : iommuCapability(iommu);
  return by === 'iommu' ? ofIommu : `${ofIommu}, and ${ofDevice}`;
}

/** Names the register bits that a person can look up. Source: v6.12 drivers/iommu/intel/iommu.h, amd/amd_iommu_types.h. */
function iommuCapability(iommu: Iommu | null): string {
  switch (iommu?.type) {
    case 'intel':
      return 'it lacks second-stage dirty tracking in scalable mode (ECAP.SMTS, ECAP.SSADS)';
    case 'amd':
      return 'it lacks host dirty support (EFR.HDSUP)';
    case 'arm-smmu-v3':
      return 'it lacks hardware update of access and dirty flags (IDR0.HTTU)';
    default:
      return 'its driver offers no dirty tracking';
  }
}
