/** Facts of a Host document that no file in sysfs could show, handed to the observation beside the model. */
import type { DeviceKey } from '../../base/ids.ts';
import type { Capability, DeviceTracking, Iommu, KnownFacts } from '../../graph/types.ts';
import { parsePageSize } from '../../spec/page-size.ts';
import type { HostDocument, IommuDocument, TrackingDocument } from '../../spec/types.generated.ts';

/** The facts. */
export function knownFacts({ spec }: HostDocument): KnownFacts {
  const tracking = new Map<DeviceKey, DeviceTracking>();
  for (const device of spec.devices ?? []) {
    if (device.tracking) tracking.set(device.pci as DeviceKey, trackingOf(device.tracking));
  }
  for (const mdev of spec.mdevs ?? []) {
    if (mdev.tracking) tracking.set(mdev.uuid as DeviceKey, trackingOf(mdev.tracking));
  }
  const iommus = new Map((spec.iommus ?? []).map((iommu) => [iommu.name, iommuFacts(iommu)]));
  return { iommus, tracking };
}

function trackingOf(doc: TrackingDocument): DeviceTracking {
  return {
    device: capability(doc.device),
    migration: doc.migration ? [...doc.migration].sort() : null,
  };
}

function iommuFacts(doc: IommuDocument): Omit<Iommu, 'name'> {
  return {
    type: doc.type,
    addressWidth: doc.addressWidth ?? null,
    coherentWalk: capability(doc.coherentWalk),
    snoopControl: capability(doc.snoopControl),
    dirtyTracking: capability(doc.dirtyTracking),
    nesting: capability(doc.nesting),
    pageSizes: (doc.pageSizes ?? []).map(parsePageSize),
    msiIsolated: capability(doc.msiIsolated),
  };
}

function capability(value: boolean | undefined): Capability {
  if (value === undefined) return 'unknown';
  return value ? 'yes' : 'no';
}
