/**
 * What the kernel says of ids that the journal names: calls that only ask. No answer changes
 * anything; IOMMU_DESTROY and ATTACH, which would also tell, are never used for it.
 */
import type { DeviceKey } from '../base/ids.ts';
import type { HeldContext, ObservedContext, ProbedObject } from '../graph/types.ts';
import { call, KernelError } from './call.ts';
import { canTrackDirty, getHugePages } from './iommufd.ts';
import type { Fd, Syscalls } from './port.ts';
import { HWPT_GET_DIRTY_BITMAP_NO_CLEAR, IOMMUFD_OPS } from './uapi/iommufd.ts';

/** Asks the kernel about everything that the journal says of a context. */
export function probeContext(syscalls: Syscalls, held: HeldContext): ObservedContext {
  const iommufd = held.fd as Fd;
  const probed: ProbedObject[] = [];
  for (const container of held.containers) {
    const ask = (id: number, journaled: ProbedObject['journaled']): void => {
      probed.push({ id, journaled, found: classify(syscalls, iommufd, id) });
    };
    ask(container.ioas, 'ioas');
    for (const hwpt of container.hwpts) {
      ask(hwpt.id, hwpt.dirtyTracking === 'none' ? 'hwpt' : 'hwpt-dirty');
    }
  }
  const hwInfo: { key: DeviceKey; dirtyTracking: boolean }[] = [];
  for (const { key, devId } of held.devices) {
    const isMdev = !key.includes(':');
    const found = classify(syscalls, iommufd, devId);
    probed.push({ id: devId, journaled: isMdev ? 'mdev' : 'device', found });
    if (found !== 'device') continue;
    hwInfo.push({ key, dirtyTracking: canTrackDirty(syscalls, iommufd, devId) });
  }
  return { held, probed, hwInfo };
}

/** The type of the object behind an id, as far as this kernel tells types apart. */
export function classify(syscalls: Syscalls, iommufd: Fd, id: number): ProbedObject['found'] {
  if (answers(() => getHugePages(syscalls, iommufd, id as never)) === 'ok') return 'ioas';
  if (answers(() => readBitmap(syscalls, iommufd, id, 0n)) === 'EINVAL') {
    const dirty = answers(() => readBitmap(syscalls, iommufd, id, PAGE)) === 'ok';
    return dirty ? 'hwpt-dirty' : 'hwpt';
  }
  if (answers(() => canTrackDirty(syscalls, iommufd, id as never)) === 'ok') return 'device';
  return 'untyped';
}

const PAGE = 4096n;

/** A length of zero is refused with EINVAL for a HWPT only; one page with NO_CLEAR is refused with EOPNOTSUPP unless it can track. */
function readBitmap(syscalls: Syscalls, iommufd: Fd, id: number, length: bigint): void {
  call(syscalls, iommufd, IOMMUFD_OPS.IOMMU_HWPT_GET_DIRTY_BITMAP, {
    hwpt_id: id,
    flags: length === 0n ? 0 : HWPT_GET_DIRTY_BITMAP_NO_CLEAR,
    length,
    page_size: length,
    data: length === 0n ? null : new Uint8Array(8),
  });
}

function answers(ask: () => unknown): string {
  try {
    ask();
    return 'ok';
  } catch (error) {
    if (error instanceof KernelError) return error.errno;
    throw error;
  }
}
