/** What the selftest's devices show that the lab's real ones cannot: rotation, sharing, dirty pages, accesses. */
import { describe, expect, it } from 'vitest';
import type { DevId, HwptId, IoasId } from '../../src/base/ids.ts';
import { call } from '../../src/kernel/call.ts';
import {
  allocIoas,
  allowIovas,
  canTrackDirty,
  destroy,
  iovaRanges,
  openIommufd,
  setDirtyTracking,
} from '../../src/kernel/iommufd.ts';
import { classify } from '../../src/kernel/probe.ts';
import {
  HWPT_ALLOC_DIRTY_TRACKING,
  HWPT_GET_DIRTY_BITMAP_NO_CLEAR,
  IOMMUFD_OPS,
} from '../../src/kernel/uapi/iommufd.ts';
import { callMock } from '../lab/mock-call.ts';
import {
  ACCESS_PINS,
  MOCK_APERTURE,
  MOCK_HW_INFO_REGISTER,
  MOCK_HW_INFO_TYPE,
  MOCK_NO_DIRTY,
  MOCK_OPS,
  MOCK_PAGE,
} from '../lab/mock-uapi.ts';
import { answerOf, GONE, type Rig } from './rig.ts';

/** A mock device: the object that unplugs it, its device id, and the HWPT that it is on at first. */
interface Plugged {
  readonly stdev: number;
  readonly devId: DevId;
  readonly hwpt: HwptId;
}

/** Hands for mock devices. */
export function mockHands(rig: Rig) {
  const { syscalls } = rig;
  return {
    plug(pt: number, dev_flags = 0): Plugged {
      const op = MOCK_OPS.MOCK_DOMAIN_FLAGS;
      const out = callMock(syscalls, rig.iommufd, op, { id: pt, dev_flags });
      return {
        stdev: out.stdev_id,
        devId: out.idev_id as DevId,
        hwpt: out.hwpt_id as HwptId,
      };
    },
    replace: ({ stdev }: Plugged, pt: number): number =>
      callMock(syscalls, rig.iommufd, MOCK_OPS.MOCK_DOMAIN_REPLACE, { id: stdev, pt_id: pt }).pt_id,
    destroyed: (id: number): Promise<string> =>
      answerOf(() => destroy(syscalls, rig.iommufd, id as HwptId)),
    map: (ioas: IoasId, iova: bigint, length: bigint): Promise<string> =>
      answerOf(() =>
        call(syscalls, rig.iommufd, IOMMUFD_OPS.IOMMU_IOAS_MAP, {
          ioas_id: ioas,
          flags: 7,
          iova,
          length,
          user_va: rig.target.memory,
        }),
      ),
  };
}

/** Declares the cases. */
export function mockCases(rig: Rig): void {
  describe(`${rig.name}: mock devices`, () => {
    rotation(rig);
    spaces(rig);
    dirtyPages(rig);
    accesses(rig);
    hardwareInfo(rig);
  });
}

function rotation(rig: Rig): void {
  const { plug, replace, destroyed } = mockHands(rig);

  it('rotates a device over page tables: what it leaves is free, what it is on is busy', async () => {
    const ioas = allocIoas(rig.syscalls, rig.iommufd);
    const device = plug(ioas);
    const first = await rig.hwptOf(device.devId, ioas);
    const second = await rig.hwptOf(device.devId, ioas);
    expect(replace(device, first)).toBe(first);
    expect(classify(rig.syscalls, rig.iommufd, device.hwpt)).toBe('untyped');
    expect(replace(device, second)).toBe(second);
    expect(replace(device, second)).toBe(second);
    expect(await destroyed(first)).toBe('ok');
    expect(await destroyed(second)).toBe('EBUSY');
    expect(plug(second).hwpt).toBe(second);
    expect(await destroyed(ioas)).toBe('EBUSY');
  });

  it('shares one automatic page table, which goes with its last device', async () => {
    const ioas = allocIoas(rig.syscalls, rig.iommufd);
    const other = allocIoas(rig.syscalls, rig.iommufd);
    const [one, two] = [plug(ioas), plug(ioas)];
    expect(two.hwpt).toBe(one.hwpt);
    const moved = replace(one, other);
    expect(moved).not.toBe(one.hwpt);
    expect(replace(two, moved)).toBe(moved);
    expect(classify(rig.syscalls, rig.iommufd, one.hwpt)).toBe('untyped');
    expect(await destroyed(one.devId)).toBe('EBUSY');
    expect(await destroyed(one.stdev)).toBe('ok');
    expect(await destroyed(two.stdev)).toBe('ok');
    expect(await destroyed(other)).toBe('ok');
  });

  it('cannot plug a device into the id that the call itself takes', async () => {
    const ioas = allocIoas(rig.syscalls, rig.iommufd);
    const { stdev } = plug(ioas);
    await destroyed(stdev);
    expect(await answerOf(() => plug(stdev))).toBe('ENOENT');
    expect(await answerOf(() => plug(GONE))).toBe('ENOENT');
    expect(plug(ioas).stdev).toBe(stdev);
  });

  it('closes contexts with everything alive in them', async () => {
    for (let round = 0; round < 20; round += 1) {
      const iommufd = openIommufd(rig.syscalls);
      const ioas = allocIoas(rig.syscalls, iommufd);
      const { idev_id } = callMock(rig.syscalls, iommufd, MOCK_OPS.MOCK_DOMAIN, { id: ioas });
      call(rig.syscalls, iommufd, IOMMUFD_OPS.IOMMU_HWPT_ALLOC, { dev_id: idev_id, pt_id: ioas });
      call(rig.syscalls, iommufd, IOMMUFD_OPS.IOMMU_IOAS_MAP, {
        ioas_id: ioas,
        flags: 7,
        iova: MOCK_APERTURE.start,
        length: 4096n,
        user_va: rig.target.memory,
      });
      await rig.syscalls.slow.close(iommufd);
    }
  });
}

function spaces(rig: Rig): void {
  const { plug, destroyed, map } = mockHands(rig);

  it('leaves the aperture, at the alignment of its pages, without what is reserved', async () => {
    const ioas = allocIoas(rig.syscalls, rig.iommufd);
    const { stdev } = plug(ioas);
    const space = () => iovaRanges(rig.syscalls, rig.iommufd, ioas);
    expect(space()).toEqual({ ranges: [MOCK_APERTURE], alignment: MOCK_PAGE });
    const hole = { start: MOCK_APERTURE.start + 0x1000n, length: 0x1000n };
    callMock(rig.syscalls, rig.iommufd, MOCK_OPS.ADD_RESERVED, { id: ioas, ...hole });
    expect(space().ranges).toEqual([
      { start: MOCK_APERTURE.start, last: hole.start - 1n },
      { start: hole.start + hole.length, last: MOCK_APERTURE.last },
    ]);
    await destroyed(stdev);
    expect(space().alignment).toBe(1n);
    expect(space().ranges).toHaveLength(2);
  });

  it('refuses what lies over an allow list or a mapping, in both orders', async () => {
    const ioas = allocIoas(rig.syscalls, rig.iommufd);
    const range = { start: MOCK_APERTURE.start, last: MOCK_APERTURE.start + 0xfffn };
    const reserve = (start: bigint): Promise<string> =>
      answerOf(() =>
        callMock(rig.syscalls, rig.iommufd, MOCK_OPS.ADD_RESERVED, {
          id: ioas,
          start,
          length: 0x1000n,
        }),
      );
    allowIovas(rig.syscalls, rig.iommufd, ioas, [range]);
    expect(await reserve(range.start)).toBe('EADDRINUSE');
    expect(await reserve(range.last + 1n)).toBe('ok');
    const over = [{ start: range.last, last: range.last + 2n }];
    expect(await answerOf(() => allowIovas(rig.syscalls, rig.iommufd, ioas, over))).toBe(
      'EADDRINUSE',
    );
    expect(await map(ioas, 0n, 4096n)).toBe('ok');
    expect(await answerOf(() => plug(ioas))).toBe('EADDRINUSE');
  });
}

function dirtyPages(rig: Rig): void {
  const { plug, replace, map } = mockHands(rig);
  const { start } = MOCK_APERTURE;
  const dirty = (hwpt: HwptId, pages: number, bits: Uint8Array): bigint =>
    callMock(rig.syscalls, rig.iommufd, MOCK_OPS.DIRTY, {
      id: hwpt,
      iova: start,
      length: BigInt(pages) * MOCK_PAGE,
      page_size: MOCK_PAGE,
      uptr: bits,
    }).out_nr_dirty;
  const read = (hwpt_id: HwptId, bytes: number, data: Uint8Array, more = {}): void => {
    call(rig.syscalls, rig.iommufd, IOMMUFD_OPS.IOMMU_HWPT_GET_DIRTY_BITMAP, {
      hwpt_id,
      iova: start,
      length: BigInt(bytes),
      page_size: MOCK_PAGE,
      data,
      ...more,
    });
  };

  it('lets nobody onto a tracking page table who cannot track', async () => {
    const ioas = allocIoas(rig.syscalls, rig.iommufd);
    const [capable, plain] = [plug(ioas), plug(ioas, MOCK_NO_DIRTY)];
    expect(canTrackDirty(rig.syscalls, rig.iommufd, capable.devId)).toBe(true);
    expect(canTrackDirty(rig.syscalls, rig.iommufd, plain.devId)).toBe(false);
    const hwpt = await rig.hwptOf(capable.devId, ioas, HWPT_ALLOC_DIRTY_TRACKING);
    expect(replace(capable, hwpt)).toBe(hwpt);
    expect(await answerOf(() => replace(plain, hwpt))).toBe('EINVAL');
    const forPlain = rig.hwptOf(plain.devId, ioas, HWPT_ALLOC_DIRTY_TRACKING);
    expect(await answerOf(() => forPlain)).toBe('EOPNOTSUPP');
    expect(replace(capable, plain.hwpt)).toBe(plain.hwpt);
  });

  it.each([0, 1, 7])('reports each dirty page once, into a bitmap %i bytes off', async (offset) => {
    const ioas = allocIoas(rig.syscalls, rig.iommufd);
    const { devId } = plug(ioas);
    const bytes = rig.target.memory.length;
    const pages = bytes / Number(MOCK_PAGE);
    expect(await map(ioas, start, BigInt(bytes))).toBe('ok');
    const hwpt = await rig.hwptOf(devId, ioas, HWPT_ALLOC_DIRTY_TRACKING);
    const written = Uint8Array.from({ length: pages / 8 }, (_, at) => (at * 37 + 5) & 0xff);
    expect(await answerOf(() => dirty(hwpt, pages, written))).toBe('EINVAL');
    await setDirtyTracking(rig.syscalls, rig.iommufd, hwpt, true);
    dirty(hwpt, pages, written);
    const data = new Uint8Array(pages / 8 + offset).subarray(offset);
    read(hwpt, bytes, data, { flags: HWPT_GET_DIRTY_BITMAP_NO_CLEAR });
    expect(data).toEqual(written);
    read(hwpt, bytes, data.fill(0));
    expect(data).toEqual(written);
    read(hwpt, bytes, data.fill(0));
    expect(data.every((byte) => byte === 0)).toBe(true);
  });

  it('folds pages into larger ones, stops at a hole, and forgets with every switch to on', async () => {
    const ioas = allocIoas(rig.syscalls, rig.iommufd);
    const { devId } = plug(ioas);
    expect(await map(ioas, start, 4n * MOCK_PAGE)).toBe('ok');
    expect(await map(ioas, start + 6n * MOCK_PAGE, 2n * MOCK_PAGE)).toBe('ok');
    const hwpt = await rig.hwptOf(devId, ioas, HWPT_ALLOC_DIRTY_TRACKING);
    await setDirtyTracking(rig.syscalls, rig.iommufd, hwpt, true);
    const keep = { flags: HWPT_GET_DIRTY_BITMAP_NO_CLEAR };
    expect(dirty(hwpt, 8, Uint8Array.of(0b1101_0101))).toBe(4n);
    const data = new Uint8Array(1);
    read(hwpt, 8 * Number(MOCK_PAGE), data, { ...keep, page_size: 2n * MOCK_PAGE });
    expect(data[0]).toBe(0b0011);
    read(hwpt, 8 * Number(MOCK_PAGE), data.fill(0), keep);
    expect(data[0]).toBe(0b0101);
    await setDirtyTracking(rig.syscalls, rig.iommufd, hwpt, true);
    read(hwpt, 8 * Number(MOCK_PAGE), data.fill(0), keep);
    expect(data[0]).toBe(0);
  });
}

function accesses(rig: Rig): void {
  const { destroyed, map } = mockHands(rig);

  it('keeps an IOAS that something pins pages of, at the alignment of pages', async () => {
    const [one, two] = [allocIoas(rig.syscalls, rig.iommufd), allocIoas(rig.syscalls, rig.iommufd)];
    const create = (id: number, flags = ACCESS_PINS) =>
      callMock(rig.syscalls, rig.iommufd, MOCK_OPS.CREATE_ACCESS, { id, flags }).out_access_fd;
    const move = (fd: number, ioas_id: number): Promise<string> =>
      answerOf(() =>
        callMock(rig.syscalls, rig.iommufd, MOCK_OPS.ACCESS_REPLACE_IOAS, { id: fd, ioas_id }),
      );
    const alignment = (ioas: IoasId) => iovaRanges(rig.syscalls, rig.iommufd, ioas).alignment;
    const fd = rig.keep(create(one) as never);
    expect(alignment(one)).toBe(4096n);
    expect(await destroyed(one)).toBe('EBUSY');
    expect(await answerOf(() => create(GONE))).toBe('ENOENT');
    expect(await move(rig.iommufd, two)).toBe('EBADFD');
    expect(await map(two, 1024n, 1024n)).toBe('ok');
    expect(await move(fd, two)).toBe('EADDRINUSE');
    expect(await move(fd, GONE)).toBe('ENOENT');
    call(rig.syscalls, rig.iommufd, IOMMUFD_OPS.IOMMU_IOAS_UNMAP, {
      ioas_id: two,
      iova: 1024n,
      length: 1024n,
    });
    expect(await move(fd, two)).toBe('ok');
    expect(alignment(one)).toBe(1n);
    expect(await destroyed(one)).toBe('ok');
    expect(await destroyed(two)).toBe('EBUSY');
  });
}

function hardwareInfo(rig: Rig): void {
  const { plug } = mockHands(rig);

  it.each([0, 4, 8, 16])('tells of the hardware as far as %i bytes reach', (length) => {
    const { devId } = plug(allocIoas(rig.syscalls, rig.iommufd));
    const data = new Uint8Array(16).fill(0xaa);
    const { out } = call(rig.syscalls, rig.iommufd, IOMMUFD_OPS.IOMMU_GET_HW_INFO, {
      dev_id: devId,
      data_len: length,
      data_uptr: length === 0 ? null : data,
    });
    expect(out.data_len).toBe(8);
    expect(out.out_data_type).toBe(MOCK_HW_INFO_TYPE);
    const whole = new Uint8Array(16);
    new DataView(whole.buffer).setUint32(4, MOCK_HW_INFO_REGISTER, true);
    whole.fill(0xaa, length);
    expect(data).toEqual(whole);
  });
}
