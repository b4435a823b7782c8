/** What a context answers without any device. */
import { describe, expect, it } from 'vitest';
import { call } from '../../src/kernel/call.ts';
import {
  allocHwpt,
  allocIoas,
  allowIovas,
  canTrackDirty,
  destroy,
  getHugePages,
  iovaRanges,
  setDirtyTracking,
  setHugePages,
} from '../../src/kernel/iommufd.ts';
import { classify } from '../../src/kernel/probe.ts';
import { sizeUpTo } from '../../src/kernel/struct.ts';
import { IOMMUFD_OPS } from '../../src/kernel/uapi/iommufd.ts';
import { answerOf, GONE, type Rig } from './rig.ts';

/** Declares the cases. */
export function contextCases(rig: Rig): void {
  const { name, syscalls } = rig;
  describe(`${name}: the context`, () => {
    it('answers ENOENT for ids that are not there', async () => {
      expect(await answerOf(() => destroy(syscalls, rig.iommufd, 0 as never))).toBe('ENOENT');
      expect(await answerOf(() => destroy(syscalls, rig.iommufd, GONE))).toBe('ENOENT');
      expect(await answerOf(() => iovaRanges(syscalls, rig.iommufd, GONE))).toBe('ENOENT');
      expect(await answerOf(() => allowIovas(syscalls, rig.iommufd, GONE, []))).toBe('ENOENT');
      expect(await answerOf(() => getHugePages(syscalls, rig.iommufd, GONE))).toBe('ENOENT');
      expect(await answerOf(() => canTrackDirty(syscalls, rig.iommufd, GONE))).toBe('ENOENT');
      expect(await answerOf(() => setDirtyTracking(syscalls, rig.iommufd, GONE, true))).toBe(
        'ENOENT',
      );
      expect(
        await answerOf(() =>
          allocHwpt(syscalls, rig.iommufd, { devId: GONE, ptId: GONE, flags: 0 }),
        ),
      ).toBe('ENOENT');
    });

    it('keeps to the size rule of every ioctl', async () => {
      for (const op of Object.values(IOMMUFD_OPS)) {
        const raw = (size: number, length: number, last = 0): Promise<string> => {
          const bytes = new Uint8Array(length);
          new DataView(bytes.buffer).setUint32(0, size, true);
          if (last !== 0) bytes[length - 1] = last;
          return answerOf(() => syscalls.ioctl(rig.iommufd, op.request, { bytes, pointers: [] }));
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
          await answerOf(() => syscalls.ioctl(rig.iommufd, request, { bytes, pointers: [] })),
        ).toBe('ENOTTY');
      }
    });

    it('gives the lowest free id, at once after a free', async () => {
      const first = allocIoas(syscalls, rig.iommufd);
      const second = allocIoas(syscalls, rig.iommufd);
      expect(second).toBe(first + 1);
      await destroy(syscalls, rig.iommufd, first);
      expect(allocIoas(syscalls, rig.iommufd)).toBe(first);
    });

    it('refuses flags and reserved fields that it does not know with EOPNOTSUPP', async () => {
      const ioas = allocIoas(syscalls, rig.iommufd);
      const { IOMMU_IOAS_ALLOC, IOMMU_IOAS_IOVA_RANGES, IOMMU_OPTION } = IOMMUFD_OPS;
      expect(
        await answerOf(() => call(syscalls, rig.iommufd, IOMMU_IOAS_ALLOC, { flags: 1 })),
      ).toBe('EOPNOTSUPP');
      expect(
        await answerOf(() =>
          call(syscalls, rig.iommufd, IOMMU_IOAS_IOVA_RANGES, { ioas_id: ioas, __reserved: 1 }),
        ),
      ).toBe('EOPNOTSUPP');
      expect(
        await answerOf(() =>
          call(syscalls, rig.iommufd, IOMMU_OPTION, { option_id: 99, object_id: ioas }),
        ),
      ).toBe('EOPNOTSUPP');
      expect(
        await answerOf(() =>
          call(syscalls, rig.iommufd, IOMMU_OPTION, { option_id: 1, op: 9, object_id: ioas }),
        ),
      ).toBe('EOPNOTSUPP');
    });

    it('has a fresh IOAS of one range and alignment 1', () => {
      const ioas = allocIoas(syscalls, rig.iommufd);
      const { ranges, alignment } = iovaRanges(syscalls, rig.iommufd, ioas);
      expect(ranges).toEqual([{ start: 0n, last: 0xffff_ffff_ffff_ffffn }]);
      expect(alignment).toBe(1n);
    });

    it('checks the allow list', async () => {
      const ioas = allocIoas(syscalls, rig.iommufd);
      const allow = (...ranges: readonly (readonly [bigint, bigint])[]): Promise<string> =>
        answerOf(() =>
          allowIovas(
            syscalls,
            rig.iommufd,
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
          call(syscalls, rig.iommufd, IOMMU_OPTION, { option_id: 0, op, object_id: object, val64 }),
        );
      expect(await rlimit(1, 0n)).toBe('ok');
      expect(await rlimit(0, 2n)).toBe('EINVAL');
      expect(await rlimit(0, 1n)).toBe('ok');
      expect(await rlimit(1, 0n, 1)).toBe('EOPNOTSUPP');
      const ioas = allocIoas(syscalls, rig.iommufd);
      expect(await rlimit(0, 0n)).toBe('EBUSY');
      expect(getHugePages(syscalls, rig.iommufd, ioas)).toBe(true);
      setHugePages(syscalls, rig.iommufd, ioas, false);
      expect(getHugePages(syscalls, rig.iommufd, ioas)).toBe(false);
      expect(iovaRanges(syscalls, rig.iommufd, ioas).alignment).toBe(4096n);
    });

    it('maps and unmaps', async () => {
      const ioas = allocIoas(syscalls, rig.iommufd);
      const memory = new Uint8Array(16384);
      const map = (flags: number, iova: bigint, length: bigint): Promise<string> =>
        answerOf(() =>
          call(syscalls, rig.iommufd, IOMMUFD_OPS.IOMMU_IOAS_MAP, {
            ioas_id: ioas,
            flags,
            user_va: memory,
            iova,
            length,
          }),
        );
      const unmap = (iova: bigint, length: bigint): Promise<string> =>
        answerOf(() =>
          call(syscalls, rig.iommufd, IOMMUFD_OPS.IOMMU_IOAS_UNMAP, {
            ioas_id: ioas,
            iova,
            length,
          }),
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
      const ioas = allocIoas(syscalls, rig.iommufd);
      expect(classify(syscalls, rig.iommufd, ioas)).toBe('ioas');
      expect(classify(syscalls, rig.iommufd, GONE)).toBe('untyped');
    });
  });
}
