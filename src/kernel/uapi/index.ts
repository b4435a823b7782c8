/** Both ioctl tables as one, for whoever looks an ioctl up by its request number. */
import { IOMMUFD_OPS } from './iommufd.ts';
import type { IoctlOp } from './op.ts';
import { VFIO_OPS } from './vfio.ts';

/** Every ioctl that this program knows, by name. */
export const ALL_OPS = { ...IOMMUFD_OPS, ...VFIO_OPS };

/** The name of an ioctl in the tables. */
export type OpName = keyof typeof ALL_OPS;

const BY_REQUEST = new Map<number, IoctlOp>(Object.values(ALL_OPS).map((op) => [op.request, op]));

/** The row of a request number, or null for one that is not in the tables. */
export function opOf(request: number): IoctlOp | null {
  return BY_REQUEST.get(request) ?? null;
}
