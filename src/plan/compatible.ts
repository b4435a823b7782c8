/**
 * Will the kernel let a device share a HWPT? The rules of each IOMMU driver's attach check, and
 * our two of our own: dirty tracking and snoop enforcement are never traded for fewer HWPTs.
 * Source: v6.12 drivers/iommu/{intel,amd,arm/arm-smmu-v3}; `unknown` where versions differ.
 */
import type { Hwpt, Iommu } from '../graph/types.ts';
import type { HwptFlags } from '../steps/def.ts';

/** `unknown` is tried only on an idle group; a running one moves only where the answer is `yes`. */
export type Fit = 'yes' | 'no' | 'unknown';

/** True where the HWPT has every property that is needed; it may have more. */
export function hasProperties(
  hwpt: Pick<Hwpt, 'dirtyTracking' | 'nesting'>,
  need: HwptFlags,
): boolean {
  return (!need.dirtyTracking || hwpt.dirtyTracking !== 'none') && (!need.nesting || hwpt.nesting);
}

/**
 * Does a device behind `iommu` fit on a HWPT that was made for a device behind `madeFor`?
 * `tracks`: the HWPT was allocated with dirty tracking.
 */
export function fitOf(madeFor: Iommu | null, tracks: boolean, iommu: Iommu | null): Fit {
  if (madeFor === null || iommu === null) return 'unknown';
  if (tracks && iommu.dirtyTracking === 'no') return 'no';
  if (madeFor.name === iommu.name) return 'yes';
  const shared = sharedFit(madeFor, iommu);
  return shared === 'yes' && tracks && iommu.dirtyTracking === 'unknown' ? 'unknown' : shared;
}

function sharedFit(madeFor: Iommu, iommu: Iommu): Fit {
  if (madeFor.type !== iommu.type) return 'no';
  switch (iommu.type) {
    case 'intel':
      return intelFit(madeFor, iommu);
    case 'amd':
      return 'yes';
    case 'arm-smmu-v3':
    case 'virtio':
    case 'other':
      return 'no';
  }
}

/** The second unit needs snoop control if the first enforces it, and at least the first one's width. Kernels after 6.12 also compare page-walk coherency. */
function intelFit(madeFor: Iommu, iommu: Iommu): Fit {
  if (madeFor.snoopControl !== iommu.snoopControl) return 'no';
  if (madeFor.snoopControl === 'unknown') return 'unknown';
  if (madeFor.addressWidth === null || iommu.addressWidth === null) return 'unknown';
  if (iommu.addressWidth < madeFor.addressWidth) return 'no';
  return madeFor.coherentWalk === iommu.coherentWalk ? 'yes' : 'unknown';
}

/** Orders IOMMUs so that the least capable comes first: a HWPT made for it takes the others. */
export function compareCapability(a: Iommu | null, b: Iommu | null): number {
  return (a?.addressWidth ?? 0) - (b?.addressWidth ?? 0);
}
