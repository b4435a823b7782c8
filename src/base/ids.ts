/**
 * Branded identifiers. A number with a brand came from the kernel; a text with a brand names a
 * thing in sysfs. Not here: names that an operator chose, which stay plain text.
 */

/** Id of an IOAS object in one iommufd context. Reused by the kernel at once after a free. */
export type IoasId = number & { readonly __id: 'ioas' };
/** Id of a paging HWPT object in one iommufd context. */
export type HwptId = number & { readonly __id: 'hwpt' };
/** Id of a DEVICE or ACCESS object: what VFIO_DEVICE_BIND_IOMMUFD returned in `out_devid`. */
export type DevId = number & { readonly __id: 'dev' };
/** Number of an IOMMU group in sysfs. Changes between boots, so it is never in a config. */
export type GroupId = number & { readonly __id: 'group' };
/** PCI address `DDDD:BB:DD.F`, lower case hex, as sysfs writes it. */
export type Bdf = string & { readonly __id: 'bdf' };
/** UUID of an mdev, lower case. */
export type MdevUuid = string & { readonly __id: 'mdev' };
/** What identifies a device for life: its PCI address or its mdev UUID. */
export type DeviceKey = Bdf | MdevUuid;

const BDF = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/;

/** True for a full PCI address in sysfs form (the domain has at least four digits). */
export function isBdf(text: string): text is Bdf {
  return BDF.test(text);
}

const MDEV_UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** True for the UUID of an mdev in sysfs form. */
export function isMdevUuid(text: string): text is MdevUuid {
  return MDEV_UUID.test(text);
}

/** Orders text by code unit: the same everywhere, unlike a locale's order. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** The bus of a PCI address, as `DDDD:BB`. */
export function busOf(bdf: Bdf): string {
  return bdf.slice(0, bdf.lastIndexOf(':'));
}
