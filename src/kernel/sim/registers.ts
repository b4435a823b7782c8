/**
 * Capability registers as the capabilities of a Host document would read.
 * Source: drivers/iommu/intel/iommu.h (CAP, ECAP), drivers/iommu/amd/amd_iommu_types.h (EFR), v6.12.
 */
import type { IommuDocument } from '../../spec/types.generated.ts';

/** The registers that sysfs shows for an IOMMU; other types show none. */
export type Registers =
  | { readonly type: 'intel'; readonly cap: bigint; readonly ecap: bigint }
  | { readonly type: 'amd'; readonly efr: bigint }
  | { readonly type: 'none' };

/** The registers of an IOMMU. */
export function registersOf(doc: IommuDocument): Registers {
  switch (doc.type) {
    case 'intel':
      return { type: 'intel', cap: intelCap(doc), ecap: intelEcap(doc) };
    case 'amd':
      return { type: 'amd', efr: doc.dirtyTracking ? 1n << 52n : 0n };
    case 'arm-smmu-v3':
    case 'virtio':
    case 'other':
      return { type: 'none' };
  }
}

/** MGAW in bits 21:16, supported page-table depths in 12:8, superpages in 37:34. */
function intelCap(doc: IommuDocument): bigint {
  const width = doc.addressWidth ?? 48;
  let sagaw = 0b00010n;
  if (width > 39) sagaw = 0b00100n;
  if (width > 48) sagaw = 0b01000n;
  const sizes = new Set(doc.pageSizes ?? ['4KiB', '2MiB']);
  const superpages = (sizes.has('2MiB') ? 1n : 0n) | (sizes.has('1GiB') ? 2n : 0n);
  return (BigInt(width - 1) << 16n) | (sagaw << 8n) | (superpages << 34n);
}

/** C 0, IR 3, SC 7, NEST 26, SMTS 43, SSADS 45, SMPWC 48. */
function intelEcap(doc: IommuDocument): bigint {
  const bits: bigint[] = [];
  if (doc.coherentWalk) bits.push(0n);
  if (doc.msiIsolated) bits.push(3n);
  if (doc.snoopControl) bits.push(7n);
  if (doc.nesting) bits.push(26n, 43n);
  if (doc.dirtyTracking) bits.push(43n, 45n, 48n);
  return bits.reduce((value, bit) => value | (1n << bit), 0n);
}
