/**
 * The calls on an iommufd context, by name. Each is one row of uapi/iommufd.ts; errnos with their
 * causes stand there. Every function throws KernelError when the kernel refuses.
 */
import type { DevId, HwptId, IoasId } from '../base/ids.ts';
import type { IovaRange } from '../base/iova.ts';
import { call, callSlow, KernelError } from './call.ts';
import { type Fd, SyscallError, type Syscalls } from './port.ts';
import {
  HW_CAP_DIRTY_TRACKING,
  HWPT_DIRTY_TRACKING_ENABLE,
  IOMMUFD_OPS,
  OPTION_HUGE_PAGES,
  OPTION_OP_GET,
  OPTION_OP_SET,
} from './uapi/iommufd.ts';

/** The device node of iommufd. */
export const IOMMUFD_PATH = '/dev/iommu';

/** Opens a new iommufd context. Throws SyscallError: ENOENT or ENODEV without iommufd, EACCES without the right. */
export function openIommufd(syscalls: Syscalls): Fd {
  return syscalls.open(IOMMUFD_PATH);
}

/** Allocates an IOAS. */
export function allocIoas(syscalls: Syscalls, iommufd: Fd): IoasId {
  const { out } = call(syscalls, iommufd, IOMMUFD_OPS.IOMMU_IOAS_ALLOC, {});
  return out.out_ioas_id as IoasId;
}

/** Replaces the list of ranges that must stay usable; an empty one clears it. EADDRINUSE where a device reserves part of one. */
export function allowIovas(
  syscalls: Syscalls,
  iommufd: Fd,
  ioas: IoasId,
  ranges: readonly IovaRange[],
): void {
  const list = new BigUint64Array(ranges.flatMap(({ start, last }) => [start, last]));
  call(syscalls, iommufd, IOMMUFD_OPS.IOMMU_IOAS_ALLOW_IOVAS, {
    ioas_id: ioas,
    num_iovas: ranges.length,
    allowed_iovas: ranges.length === 0 ? null : new Uint8Array(list.buffer),
  });
}

/** What an IOAS leaves usable, and the alignment of mappings in bytes. */
export interface IovaSpace {
  readonly ranges: readonly IovaRange[];
  readonly alignment: bigint;
}

/** The usable ranges of an IOAS: asks how many there are, then for all of them. */
export function iovaRanges(syscalls: Syscalls, iommufd: Fd, ioas: IoasId): IovaSpace {
  const op = IOMMUFD_OPS.IOMMU_IOAS_IOVA_RANGES;
  let count = 8;
  for (;;) {
    const list = new BigUint64Array(count * 2);
    const target = new Uint8Array(list.buffer);
    try {
      const fields = { ioas_id: ioas, num_iovas: count, allowed_iovas: target };
      const { out } = call(syscalls, iommufd, op, fields);
      const ranges = Array.from({ length: out.num_iovas }, (_, index) => ({
        start: list[index * 2] ?? 0n,
        last: list[index * 2 + 1] ?? 0n,
      }));
      return { ranges, alignment: out.out_iova_alignment };
    } catch (error) {
      const more = error instanceof KernelError && error.errno === 'EMSGSIZE';
      if (!more || Number(error.out['num_iovas']) <= count) throw error;
      count = Number(error.out['num_iovas']);
    }
  }
}

/** Allows or forbids huge pages in an IOAS. EINVAL once it has both a HWPT and a mapping. */
export function setHugePages(
  syscalls: Syscalls,
  iommufd: Fd,
  ioas: IoasId,
  hugePages: boolean,
): void {
  call(syscalls, iommufd, IOMMUFD_OPS.IOMMU_OPTION, {
    option_id: OPTION_HUGE_PAGES,
    op: OPTION_OP_SET,
    object_id: ioas,
    val64: hugePages ? 1n : 0n,
  });
}

/** May the IOAS use huge pages? A pure read; ENOENT where the id is no IOAS. */
export function getHugePages(syscalls: Syscalls, iommufd: Fd, ioas: IoasId): boolean {
  const { out } = call(syscalls, iommufd, IOMMUFD_OPS.IOMMU_OPTION, {
    option_id: OPTION_HUGE_PAGES,
    op: OPTION_OP_GET,
    object_id: ioas,
  });
  return out.val64 === 1n;
}

/** The arguments of IOMMU_HWPT_ALLOC. */
export interface HwptRequest {
  readonly devId: DevId;
  /** The IOAS of a paging HWPT, or the paging HWPT that is the parent of a nested one. */
  readonly ptId: IoasId | HwptId;
  /** HWPT_ALLOC_* bits. */
  readonly flags: number;
  /** `data_type`: 0 for a paging HWPT. */
  readonly dataType?: number;
  /** Driver data of a nested HWPT. */
  readonly data?: Uint8Array;
}

/** Allocates a HWPT for a bound device; copies all mappings of the IOAS into it before it returns. */
export async function allocHwpt(
  syscalls: Syscalls,
  iommufd: Fd,
  request: HwptRequest,
): Promise<HwptId> {
  const { out } = await callSlow(syscalls, iommufd, IOMMUFD_OPS.IOMMU_HWPT_ALLOC, {
    flags: request.flags,
    dev_id: request.devId,
    pt_id: request.ptId,
    data_type: request.dataType ?? 0,
    data_len: request.data?.length ?? 0,
    data_uptr: request.data ?? null,
  });
  return out.out_hwpt_id as HwptId;
}

/** Switches dirty tracking of a HWPT; idempotent. Switching on clears old bits first. */
export async function setDirtyTracking(
  syscalls: Syscalls,
  iommufd: Fd,
  hwpt: HwptId,
  active: boolean,
): Promise<void> {
  await callSlow(syscalls, iommufd, IOMMUFD_OPS.IOMMU_HWPT_SET_DIRTY_TRACKING, {
    flags: active ? HWPT_DIRTY_TRACKING_ENABLE : 0,
    hwpt_id: hwpt,
  });
}

/** True where the IOMMU behind a bound device can track dirty pages. EOPNOTSUPP where there is no IOMMU. */
export function canTrackDirty(syscalls: Syscalls, iommufd: Fd, device: DevId): boolean {
  const { out } = call(syscalls, iommufd, IOMMUFD_OPS.IOMMU_GET_HW_INFO, { dev_id: device });
  return (out.out_capabilities & HW_CAP_DIRTY_TRACKING) !== 0n;
}

/** Destroys an idle object. EBUSY while something refers to it, or while another thread uses it. */
export async function destroy(syscalls: Syscalls, iommufd: Fd, id: IoasId | HwptId): Promise<void> {
  await callSlow(syscalls, iommufd, IOMMUFD_OPS.IOMMU_DESTROY, { id });
}

/** True where the kernel knows the ioctl: asked with a size of zero, which has no effect on any of them. */
export function knowsIoctl(syscalls: Syscalls, iommufd: Fd, request: number): boolean {
  try {
    syscalls.ioctl(iommufd, request, { bytes: new Uint8Array(8), pointers: [] });
    return true;
  } catch (error) {
    return error instanceof SyscallError && error.errno !== 'ENOTTY';
  }
}
