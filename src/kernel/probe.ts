/**
 * What the kernel says of ids that the journal names: calls that only ask. No answer changes
 * anything; IOMMU_DESTROY and ATTACH, which would also tell, are never used for it.
 */
import type { DevId, DeviceKey } from '../base/ids.ts';
import type { HeldContext, ProbedObject } from '../graph/types.ts';
import { call, KernelError } from './call.ts';
import { canTrackDirty, getHugePages } from './iommufd.ts';
import type { Fd, Syscalls } from './port.ts';
import { HWPT_GET_DIRTY_BITMAP_NO_CLEAR, IOMMUFD_OPS } from './uapi/iommufd.ts';

/** Asks the kernel about everything that the journal says of a context. `devices` have answered already. */
export function probeContext(
  syscalls: Syscalls,
  held: HeldContext,
  devices: ReadonlySet<DeviceKey>,
): readonly ProbedObject[] {
  const iommufd = held.fd as Fd;
  const probed: ProbedObject[] = [];
  for (const container of held.containers) {
    const ask = (id: number, journaled: 'ioas' | 'hwpt' | 'hwpt-dirty'): void => {
      probed.push({ id, journaled, found: classify(syscalls, iommufd, id, journaled) });
    };
    ask(container.ioas, 'ioas');
    for (const hwpt of container.hwpts) {
      ask(hwpt.id, hwpt.dirtyTracking === 'none' ? 'hwpt' : 'hwpt-dirty');
    }
  }
  for (const { key, devId } of held.devices) {
    const journaled = key.includes(':') ? 'device' : 'mdev';
    const found = devices.has(key) ? 'device' : classify(syscalls, iommufd, devId);
    probed.push({ id: devId, journaled, found });
  }
  return probed;
}

type Found = ProbedObject['found'];

/** The type of the object behind an id, as far as this kernel tells types apart. What is expected is asked first, because it mostly is so. */
export function classify(
  syscalls: Syscalls,
  iommufd: Fd,
  id: number,
  expected: Found = 'ioas',
): Found {
  const questions: readonly (() => Found | null)[] = [
    () => (answers(() => getHugePages(syscalls, iommufd, id as never)) === 'ok' ? 'ioas' : null),
    () => hwptKind(syscalls, iommufd, id),
    () => (hwInfoOf(syscalls, iommufd, id as never) === null ? null : 'device'),
  ];
  const first = { ioas: 0, hwpt: 1, 'hwpt-dirty': 1, device: 2, untyped: 0 }[expected];
  const order = [first, ...[0, 1, 2].filter((index) => index !== first)];
  for (const index of order) {
    const found = questions[index]?.() ?? null;
    if (found !== null) return found;
  }
  return 'untyped';
}

function hwptKind(syscalls: Syscalls, iommufd: Fd, id: number): Found | null {
  const answer = answers(() => readBitmap(syscalls, iommufd, id, PAGE));
  if (answer === 'ok') return 'hwpt-dirty';
  return answer === 'EOPNOTSUPP' ? 'hwpt' : null;
}

/** Can the IOMMU of the device track; null where the id is no device. */
export function hwInfoOf(syscalls: Syscalls, iommufd: Fd, id: DevId): boolean | null {
  try {
    return canTrackDirty(syscalls, iommufd, id);
  } catch (error) {
    if (error instanceof KernelError) return null;
    throw error;
  }
}

/** A multiple of every page size that a kernel is built for. */
const PAGE = 65536n;

/** One page with NO_CLEAR: ENOENT but for a HWPT, which refuses with EOPNOTSUPP unless it can track. */
function readBitmap(syscalls: Syscalls, iommufd: Fd, id: number, length: bigint): void {
  call(syscalls, iommufd, IOMMUFD_OPS.IOMMU_HWPT_GET_DIRTY_BITMAP, {
    hwpt_id: id,
    flags: HWPT_GET_DIRTY_BITMAP_NO_CLEAR,
    length,
    page_size: length,
    data: new Uint8Array(8),
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
