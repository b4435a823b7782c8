/** Which calls only ask, and which change something: by name, and where that depends on it, by the request. */
import type { IoctlArg } from '../port.ts';
import type { OpName } from '../uapi/index.ts';

/** Calls that only ask. Everything else changes the kernel. */
const ASKING = new Set<string>([
  'IOMMU_IOAS_IOVA_RANGES',
  'IOMMU_GET_HW_INFO',
  'IOMMU_HWPT_INVALIDATE',
  'VFIO_DEVICE_GET_INFO',
  'VFIO_DEVICE_GET_REGION_INFO',
  'VFIO_DEVICE_GET_PCI_HOT_RESET_INFO',
]);

const OPTION_OP_OFFSET = 8;
const FEATURE_FLAGS_OFFSET = 4;
const BITMAP_FLAGS_OFFSET = 8;
const BITMAP_LENGTH_OFFSET = 24;

/** Does the call change something in the kernel? */
export function isWriting(name: OpName, arg: IoctlArg): boolean {
  if (ASKING.has(name)) return false;
  const view = new DataView(arg.bytes.buffer, arg.bytes.byteOffset, arg.bytes.byteLength);
  switch (name) {
    case 'IOMMU_OPTION':
      return view.getUint16(OPTION_OP_OFFSET, true) === 0;
    case 'VFIO_DEVICE_FEATURE':
      return (view.getUint32(FEATURE_FLAGS_OFFSET, true) & 0x20000) !== 0;
    case 'IOMMU_HWPT_GET_DIRTY_BITMAP': {
      const keeps = view.getUint32(BITMAP_FLAGS_OFFSET, true) !== 0;
      return !keeps && view.getBigUint64(BITMAP_LENGTH_OFFSET, true) !== 0n;
    }
    default:
      return true;
  }
}
