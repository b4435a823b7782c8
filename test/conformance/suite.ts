/**
 * What iommufd and VFIO answer, as cases that run on any implementation of the port: on the simulator
 * in `npm test`, on a real kernel in the lab. A case that needs a device which the target does not
 * have is reported as skipped: modelled, not run.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DevId, HwptId, IoasId } from '../../src/base/ids.ts';
import { call } from '../../src/kernel/call.ts';
import {
  allocHwpt,
  allocIoas,
  allowIovas,
  canTrackDirty,
  destroy,
  getHugePages,
  iovaRanges,
  openIommufd,
  setDirtyTracking,
  setHugePages,
} from '../../src/kernel/iommufd.ts';
import type { Fd, Syscalls } from '../../src/kernel/port.ts';
import { classify } from '../../src/kernel/probe.ts';
import { sizeUpTo } from '../../src/kernel/struct.ts';
import { HWPT_ALLOC_DIRTY_TRACKING, IOMMUFD_OPS } from '../../src/kernel/uapi/iommufd.ts';
import { FEATURE_DMA_LOGGING_START, VFIO_OPS } from '../../src/kernel/uapi/vfio.ts';
import { attachPt, bindIommufd, detachPt, hasFeature, openDevice } from '../../src/kernel/vfio.ts';

/** The devices that a target offers, as names of their device files. */
export interface Target {
  readonly syscalls: Syscalls;
  /** Two PCI functions, each alone in its group. */
  readonly single: readonly [string, string] | null;
  /** Two PCI functions of one group. */
  readonly mates: readonly [string, string] | null;
  readonly mdev: string | null;
  /** Is the IOMMU of `single` able to track dirty pages. */
  readonly tracks: boolean;
}

/** The errno of a refusal, or `ok`. */
export async function answerOf(work: () => unknown): Promise<string> {
  try {
    await work();
    return 'ok';
  } catch (error) {
    const { errno } = error as { errno?: unknown };
    if (typeof errno === 'string') return errno;
    throw error;
  }
}

const GONE = 1000 as never;

/** Declares the suite for one implementation. */
export function conformance(name: string, open: () => Target): void {
  const target = open();
  const { syscalls } = target;
  let files: Fd[] = [];
  let iommufd: Fd;

  const keep = (fd: Fd): Fd => {
    files.push(fd);
    return fd;
  };
  const bound = async (cdev: string, context = iommufd): Promise<{ fd: Fd; devId: DevId }> => {
    const fd = keep(openDevice(syscalls, cdev));
    return { fd, devId: await bindIommufd(syscalls, fd, context) };
  };
  const hwptOf = (devId: DevId, ptId: IoasId, flags = 0): Promise<HwptId> =>
    allocHwpt(syscalls, iommufd, { devId, ptId, flags });

  beforeEach(() => {
    files = [];
    iommufd = keep(openIommufd(syscalls));
  });

  afterEach(async () => {
    for (const fd of files.reverse()) await syscalls.slow.close(fd);
  });

  describe(`${name}: the context`, () => {
    it('answers ENOENT for ids that are not there', async () => {
      expect(await answerOf(() => destroy(syscalls, iommufd, 0 as never))).toBe('ENOENT');
      expect(await answerOf(() => destroy(syscalls, iommufd, GONE))).toBe('ENOENT');
      expect(await answerOf(() => iovaRanges(syscalls, iommufd, GONE))).toBe('ENOENT');
      expect(await answerOf(() => allowIovas(syscalls, iommufd, GONE, []))).toBe('ENOENT');
      expect(await answerOf(() => getHugePages(syscalls, iommufd, GONE))).toBe('ENOENT');
      expect(await answerOf(() => canTrackDirty(syscalls, iommufd, GONE))).toBe('ENOENT');
      expect(await answerOf(() => setDirtyTracking(syscalls, iommufd, GONE, true))).toBe('ENOENT');
      expect(
        await answerOf(() => allocHwpt(syscalls, iommufd, { devId: GONE, ptId: GONE, flags: 0 })),
      ).toBe('ENOENT');
    });

    it('keeps to the size rule of every ioctl', async () => {
      for (const op of Object.values(IOMMUFD_OPS)) {
        const raw = (size: number, length: number, last = 0): Promise<string> => {
          const bytes = new Uint8Array(length);
          new DataView(bytes.buffer).setUint32(0, size, true);
          if (last !== 0) bytes[length - 1] = last;
          return answerOf(() => syscalls.ioctl(iommufd, op.request, { bytes, pointers: [] }));
        };
        const { size } = op.struct;
        const short = sizeUpTo(op.struct, op.last) - 1;
        expect(await raw(short, size), `${op.name} short`).toBe('EINVAL');
        expect(await raw(0, size), `${op.name} zero`).toBe('EINVAL');
        expect(await raw(size + 1, size + 1, 1), `${op.name} junk behind`).toBe('E2BIG');
      }
    });

    it('answers ENOTTY for what it does not know', async () => {
      const bytes = new Uint8Array(64);
      for (const request of [0x3b7f, 0x3bc0]) {
        expect(
          await answerOf(() => syscalls.ioctl(iommufd, request, { bytes, pointers: [] })),
        ).toBe('ENOTTY');
      }
    });

    it('gives the lowest free id, at once after a free', async () => {
      const first = allocIoas(syscalls, iommufd);
      const second = allocIoas(syscalls, iommufd);
      expect(second).toBe(first + 1);
      await destroy(syscalls, iommufd, first);
      expect(allocIoas(syscalls, iommufd)).toBe(first);
    });

    it('refuses flags and reserved fields that it does not know with EOPNOTSUPP', async () => {
      const ioas = allocIoas(syscalls, iommufd);
      const { IOMMU_IOAS_ALLOC, IOMMU_IOAS_IOVA_RANGES, IOMMU_OPTION } = IOMMUFD_OPS;
      expect(await answerOf(() => call(syscalls, iommufd, IOMMU_IOAS_ALLOC, { flags: 1 }))).toBe(
        'EOPNOTSUPP',
      );
      expect(
        await answerOf(() =>
          call(syscalls, iommufd, IOMMU_IOAS_IOVA_RANGES, { ioas_id: ioas, __reserved: 1 }),
        ),
      ).toBe('EOPNOTSUPP');
      expect(
        await answerOf(() =>
          call(syscalls, iommufd, IOMMU_OPTION, { option_id: 99, object_id: ioas }),
        ),
      ).toBe('EOPNOTSUPP');
      expect(
        await answerOf(() =>
          call(syscalls, iommufd, IOMMU_OPTION, { option_id: 1, op: 9, object_id: ioas }),
        ),
      ).toBe('EOPNOTSUPP');
    });

    it('has a fresh IOAS of one range and alignment 1', () => {
      const ioas = allocIoas(syscalls, iommufd);
      const { ranges, alignment } = iovaRanges(syscalls, iommufd, ioas);
      expect(ranges).toEqual([{ start: 0n, last: 0xffff_ffff_ffff_ffffn }]);
      expect(alignment).toBe(1n);
    });

    it('checks the allow list', async () => {
      const ioas = allocIoas(syscalls, iommufd);
      const allow = (...ranges: readonly (readonly [bigint, bigint])[]): Promise<string> =>
        answerOf(() =>
          allowIovas(
            syscalls,
            iommufd,
            ioas,
            ranges.map(([start, last]) => ({ start, last })),
          ),
        );
      expect(await allow([0x1000n, 0x1fffn], [0x3000n, 0x3fffn])).toBe('ok');
      expect(await allow([0x1000n, 0x1000n])).toBe('EINVAL');
      expect(await allow([0x2000n, 0x1000n])).toBe('EINVAL');
      expect(await allow([0x1000n, 0x2fffn], [0x2000n, 0x3fffn])).toBe('EINVAL');
      expect(await allow()).toBe('ok');
    });

    it('has the options of an IOAS and of the context', async () => {
      const { IOMMU_OPTION } = IOMMUFD_OPS;
      const rlimit = (op: number, val64: bigint, object = 0): Promise<string> =>
        answerOf(() =>
          call(syscalls, iommufd, IOMMU_OPTION, { option_id: 0, op, object_id: object, val64 }),
        );
      expect(await rlimit(1, 0n)).toBe('ok');
      expect(await rlimit(0, 2n)).toBe('EINVAL');
      expect(await rlimit(0, 1n)).toBe('ok');
      expect(await rlimit(1, 0n, 1)).toBe('EOPNOTSUPP');
      const ioas = allocIoas(syscalls, iommufd);
      expect(await rlimit(0, 0n)).toBe('EBUSY');
      expect(getHugePages(syscalls, iommufd, ioas)).toBe(true);
      setHugePages(syscalls, iommufd, ioas, false);
      expect(getHugePages(syscalls, iommufd, ioas)).toBe(false);
      expect(iovaRanges(syscalls, iommufd, ioas).alignment).toBe(4096n);
    });

    it('maps and unmaps', async () => {
      const ioas = allocIoas(syscalls, iommufd);
      const memory = new Uint8Array(16384);
      const map = (flags: number, iova: bigint, length: bigint): Promise<string> =>
        answerOf(() =>
          call(syscalls, iommufd, IOMMUFD_OPS.IOMMU_IOAS_MAP, {
            ioas_id: ioas,
            flags,
            user_va: memory,
            iova,
            length,
          }),
        );
      const unmap = (iova: bigint, length: bigint): Promise<string> =>
        answerOf(() =>
          call(syscalls, iommufd, IOMMUFD_OPS.IOMMU_IOAS_UNMAP, { ioas_id: ioas, iova, length }),
        );
      expect(await map(7, 0x10000n, 4096n)).toBe('ok');
      expect(await map(7, 0x10000n, 4096n)).toBe('EEXIST');
      expect(await map(1, 0x20000n, 4096n)).toBe('EINVAL');
      expect(await map(8, 0x20000n, 4096n)).toBe('EOPNOTSUPP');
      expect(await map(7, 0x20000n, 0n)).toBe('EINVAL');
      expect(await map(7, 0x20000n, 0xffff_ffff_ffff_ffffn)).toBe('EOVERFLOW');
      expect(await unmap(0x10000n, 100n)).toBe('ENOENT');
      expect(await unmap(0x30000n, 4096n)).toBe('ENOENT');
      expect(await unmap(0x10000n, 0n)).toBe('EINVAL');
      expect(await unmap(0x0n, 0x100000n)).toBe('ok');
      expect(await unmap(0x0n, 0xffff_ffff_ffff_ffffn)).toBe('ok');
    });

    it('tells what an id is', () => {
      const ioas = allocIoas(syscalls, iommufd);
      expect(classify(syscalls, iommufd, ioas)).toBe('ioas');
      expect(classify(syscalls, iommufd, GONE)).toBe('untyped');
    });
  });

  describe.skipIf(target.single === null)(`${name}: single devices`, () => {
    const [a, b] = target.single ?? ['', ''];

    it('refuses every call before BIND with EINVAL', async () => {
      const fd = keep(openDevice(syscalls, a));
      expect(await answerOf(() => attachPt(syscalls, fd, GONE))).toBe('EINVAL');
      expect(await answerOf(() => detachPt(syscalls, fd))).toBe('EINVAL');
      expect(await answerOf(() => call(syscalls, fd, VFIO_OPS.VFIO_DEVICE_GET_INFO, {}))).toBe(
        'EINVAL',
      );
    });

    it('binds once, to a real context', async () => {
      const fd = keep(openDevice(syscalls, a));
      expect(await answerOf(() => bindIommufd(syscalls, fd, 9999 as Fd))).toBe('EBADF');
      expect(await answerOf(() => bindIommufd(syscalls, fd, fd))).toBe('EBADFD');
      expect(await answerOf(() => bindIommufd(syscalls, fd, iommufd))).toBe('ok');
      expect(await answerOf(() => bindIommufd(syscalls, fd, iommufd))).toBe('EINVAL');
      const other = keep(openDevice(syscalls, a));
      expect(await answerOf(() => bindIommufd(syscalls, other, iommufd))).toBe('EINVAL');
    });

    it('allocates, attaches, replaces, detaches and frees', async () => {
      const { fd, devId } = await bound(a);
      const ioas = allocIoas(syscalls, iommufd);
      const first = await hwptOf(devId, ioas);
      const second = await hwptOf(devId, ioas);
      expect(classify(syscalls, iommufd, first)).toBe('hwpt');
      expect(classify(syscalls, iommufd, devId)).toBe('device');
      expect(await attachPt(syscalls, fd, first)).toBe(first);
      expect(await answerOf(() => destroy(syscalls, iommufd, first))).toBe('EBUSY');
      expect(await answerOf(() => destroy(syscalls, iommufd, ioas))).toBe('EBUSY');
      expect(await answerOf(() => destroy(syscalls, iommufd, devId as never))).toBe('EBUSY');
      expect(await attachPt(syscalls, fd, first)).toBe(first);
      expect(await attachPt(syscalls, fd, second)).toBe(second);
      expect(await answerOf(() => destroy(syscalls, iommufd, first))).toBe('ok');
      expect(await answerOf(() => detachPt(syscalls, fd))).toBe('ok');
      expect(await answerOf(() => detachPt(syscalls, fd))).toBe('ok');
      expect(await answerOf(() => destroy(syscalls, iommufd, second))).toBe('ok');
      expect(await answerOf(() => destroy(syscalls, iommufd, ioas))).toBe('ok');
    });

    it('refuses what is no page table', async () => {
      const { fd, devId } = await bound(a);
      const ioas = allocIoas(syscalls, iommufd);
      expect(await answerOf(() => attachPt(syscalls, fd, GONE))).toBe('ENOENT');
      expect(await answerOf(() => attachPt(syscalls, fd, devId as never))).toBe('EINVAL');
      expect(await answerOf(() => hwptOf(devId, GONE))).toBe('EINVAL');
      expect(await answerOf(() => hwptOf(devId, devId as never))).toBe('EINVAL');
      expect(await answerOf(() => hwptOf(ioas as never, ioas))).toBe('ENOENT');
      expect(await answerOf(() => hwptOf(devId, ioas, 0x8000_0000))).toBe('EOPNOTSUPP');
    });

    it('frees an automatic page table with its last device, and never a made one', async () => {
      const one = await bound(a);
      const two = await bound(b);
      const ioas = allocIoas(syscalls, iommufd);
      const made = await hwptOf(one.devId, ioas);
      const auto = await attachPt(syscalls, one.fd, ioas);
      expect(auto).not.toBe(made);
      expect(await attachPt(syscalls, two.fd, ioas)).toBe(auto);
      await detachPt(syscalls, one.fd);
      expect(classify(syscalls, iommufd, auto)).toBe('hwpt');
      await detachPt(syscalls, two.fd);
      expect(classify(syscalls, iommufd, auto)).toBe('untyped');
      expect(classify(syscalls, iommufd, made)).toBe('hwpt');
    });

    it('reserves the MSI window with the attach, and gives it back with the detach', async () => {
      const { fd, devId } = await bound(a);
      const ioas = allocIoas(syscalls, iommufd);
      const msiUsable = (): boolean =>
        iovaRanges(syscalls, iommufd, ioas).ranges.some(
          ({ start, last }) => start <= 0xfee00000n && last >= 0xfeefffffn,
        );
      const hwpt = await hwptOf(devId, ioas);
      expect(iovaRanges(syscalls, iommufd, ioas).alignment).toBe(4096n);
      expect(msiUsable()).toBe(true);
      await attachPt(syscalls, fd, hwpt);
      expect(msiUsable()).toBe(false);
      expect(
        await answerOf(() =>
          allowIovas(syscalls, iommufd, ioas, [{ start: 0xfe000000n, last: 0xffffffffn }]),
        ),
      ).toBe('EADDRINUSE');
      await detachPt(syscalls, fd);
      expect(msiUsable()).toBe(true);
    });

    it('refuses an attach into an allow list that the device would cut', async () => {
      const { fd, devId } = await bound(a);
      const ioas = allocIoas(syscalls, iommufd);
      allowIovas(syscalls, iommufd, ioas, [{ start: 0xfe000000n, last: 0xffffffffn }]);
      const hwpt = await hwptOf(devId, ioas);
      expect(await answerOf(() => attachPt(syscalls, fd, hwpt))).toBe('EADDRINUSE');
      expect(await answerOf(() => destroy(syscalls, iommufd, hwpt))).toBe('ok');
    });

    it('refuses an allocation whose aperture the allow list leaves', async () => {
      const { devId } = await bound(a);
      const ioas = allocIoas(syscalls, iommufd);
      allowIovas(syscalls, iommufd, ioas, [{ start: 1n << 60n, last: (1n << 60n) + 0xfffn }]);
      expect(await answerOf(() => hwptOf(devId, ioas))).toBe('EADDRINUSE');
    });

    it('tracks dirty pages where the IOMMU can, and says EOPNOTSUPP where it cannot', async () => {
      const { devId } = await bound(a);
      const ioas = allocIoas(syscalls, iommufd);
      expect(canTrackDirty(syscalls, iommufd, devId)).toBe(target.tracks);
      const plain = await hwptOf(devId, ioas);
      expect(await answerOf(() => setDirtyTracking(syscalls, iommufd, plain, true))).toBe(
        'EOPNOTSUPP',
      );
      const dirty = (): Promise<HwptId> => hwptOf(devId, ioas, HWPT_ALLOC_DIRTY_TRACKING);
      expect(await answerOf(dirty)).toBe(target.tracks ? 'ok' : 'EOPNOTSUPP');
    });

    it('keeps a device attached over another IOAS by one replace', async () => {
      const { fd, devId } = await bound(a);
      const [from, to] = [allocIoas(syscalls, iommufd), allocIoas(syscalls, iommufd)];
      const [first, second] = [await hwptOf(devId, from), await hwptOf(devId, to)];
      await attachPt(syscalls, fd, first);
      expect(await attachPt(syscalls, fd, second)).toBe(second);
      for (const id of [first, from])
        expect(await answerOf(() => destroy(syscalls, iommufd, id))).toBe('ok');
    });

    it('lives on without its iommufd file while a device is bound', async () => {
      const context = openIommufd(syscalls);
      const { fd } = await bound(a, context);
      const ioas = allocIoas(syscalls, context);
      await syscalls.slow.close(context);
      expect(await answerOf(() => attachPt(syscalls, fd, ioas))).toBe('ok');
      expect(await answerOf(() => detachPt(syscalls, fd))).toBe('ok');
    });

    it('offers no DMA logging on plain vfio-pci', async () => {
      const { fd } = await bound(a);
      expect(hasFeature(syscalls, fd, FEATURE_DMA_LOGGING_START)).toBe(false);
    });

    it('refuses malformed VFIO calls with EINVAL', async () => {
      const { fd } = await bound(a);
      const { VFIO_DEVICE_ATTACH_IOMMUFD_PT, VFIO_DEVICE_DETACH_IOMMUFD_PT, VFIO_DEVICE_FEATURE } =
        VFIO_OPS;
      expect(
        await answerOf(() => call(syscalls, fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, { flags: 0x80 })),
      ).toBe('EINVAL');
      expect(
        await answerOf(() => call(syscalls, fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, { flags: 0x80 })),
      ).toBe('EINVAL');
      // A device that lacks the feature says so before it looks for a verb.
      const feature = (flags: number): Promise<string> =>
        answerOf(() => call(syscalls, fd, VFIO_DEVICE_FEATURE, { flags }));
      expect(await feature(1)).toBe('ENOTTY');
      expect(await feature(0x80001)).toBe('EINVAL');
      expect(await feature(0x30001)).toBe('EINVAL');
    });
  });

  describe.skipIf(target.mates === null)(`${name}: a group of two (else modelled, not run)`, () => {
    const [c, d] = target.mates ?? ['', ''];

    it('takes both members into one context only', async () => {
      await bound(c);
      const other = keep(openIommufd(syscalls));
      const fd = keep(openDevice(syscalls, d));
      expect(await answerOf(() => bindIommufd(syscalls, fd, other))).toBe('EPERM');
      expect(await answerOf(() => bindIommufd(syscalls, fd, iommufd))).toBe('ok');
    });

    it('keeps both on one page table, and moves both by one replace', async () => {
      const one = await bound(c);
      const two = await bound(d);
      const ioas = allocIoas(syscalls, iommufd);
      const first = await hwptOf(one.devId, ioas);
      const second = await hwptOf(one.devId, ioas);
      await attachPt(syscalls, one.fd, first);
      expect(await answerOf(() => attachPt(syscalls, two.fd, second))).toBe('EINVAL');
      await attachPt(syscalls, two.fd, first);
      await attachPt(syscalls, one.fd, second);
      expect(await answerOf(() => destroy(syscalls, iommufd, first))).toBe('ok');
      expect(await attachPt(syscalls, two.fd, second)).toBe(second);
      expect(await answerOf(() => attachPt(syscalls, one.fd, ioas))).toBe('ok');
      expect(await answerOf(() => destroy(syscalls, iommufd, second))).toBe('ok');
    });

    it('cannot join a made page table through the IOAS id', async () => {
      const one = await bound(c);
      const two = await bound(d);
      const ioas = allocIoas(syscalls, iommufd);
      await attachPt(syscalls, one.fd, await hwptOf(one.devId, ioas));
      expect(await answerOf(() => attachPt(syscalls, two.fd, ioas))).toBe('EINVAL');
    });
  });

  describe.skipIf(target.mdev === null)(`${name}: an mdev (else modelled, not run)`, () => {
    const mdev = target.mdev ?? '';

    it('attaches to an IOAS id and to nothing else', async () => {
      const { fd, devId } = await bound(mdev);
      const ioas = allocIoas(syscalls, iommufd);
      const other = allocIoas(syscalls, iommufd);
      expect(await answerOf(() => attachPt(syscalls, fd, devId as never))).toBe('ENOENT');
      expect(await attachPt(syscalls, fd, ioas)).toBe(ioas);
      expect(iovaRanges(syscalls, iommufd, ioas).alignment).toBe(4096n);
      expect(await answerOf(() => destroy(syscalls, iommufd, ioas))).toBe('EBUSY');
      expect(await attachPt(syscalls, fd, other)).toBe(other);
      expect(await answerOf(() => destroy(syscalls, iommufd, ioas))).toBe('ok');
      expect(await answerOf(() => detachPt(syscalls, fd))).toBe('ok');
      expect(await answerOf(() => detachPt(syscalls, fd))).toBe('ok');
      expect(await answerOf(() => canTrackDirty(syscalls, iommufd, devId))).toBe('ENOENT');
      expect(await answerOf(() => hwptOf(devId, other))).toBe('ENOENT');
    });
  });
}
