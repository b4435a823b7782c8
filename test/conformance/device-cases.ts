/** What contexts and device files answer about devices: single ones, group mates, an mdev. */
import { describe, expect, it } from 'vitest';
import type { HwptId } from '../../src/base/ids.ts';
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
import type { Fd } from '../../src/kernel/port.ts';
import { classify } from '../../src/kernel/probe.ts';
import { HWPT_ALLOC_DIRTY_TRACKING } from '../../src/kernel/uapi/iommufd.ts';
import {
  FEATURE_DMA_LOGGING_START,
  PCI_CONFIG_REGION_INDEX,
  VFIO_OPS,
} from '../../src/kernel/uapi/vfio.ts';
import {
  armRequest,
  attachPt,
  bindIommufd,
  detachPt,
  disarmRequest,
  hasFeature,
  openDevice,
  setBusMaster,
} from '../../src/kernel/vfio.ts';
import { answerOf, GONE, type Rig } from './rig.ts';

/** VFIO_DEVICE_SET_IRQS as it sets the eventfd of the request interrupt. */
const SETTING = { flags: 0x24, index: 4, start: 0, count: 1 };

function int32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, true);
  return bytes;
}

/** Declares the cases. Those without their device are skipped: modelled, not run. */
export function deviceCases(rig: Rig): void {
  const { name, target, syscalls, keep, bound, hwptOf } = rig;
  const tryOut = (fd: Fd): unknown =>
    call(syscalls, fd, VFIO_OPS.VFIO_DEVICE_SET_IRQS, { ...SETTING, flags: 0x21 });
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
      expect(await answerOf(() => bindIommufd(syscalls, fd, rig.iommufd))).toBe('ok');
      expect(await answerOf(() => bindIommufd(syscalls, fd, rig.iommufd))).toBe('EINVAL');
      const other = keep(openDevice(syscalls, a));
      expect(await answerOf(() => bindIommufd(syscalls, other, rig.iommufd))).toBe('EINVAL');
    });

    it('has a configuration space in which the bus master is switched', async () => {
      const op = VFIO_OPS.VFIO_DEVICE_GET_REGION_INFO;
      const { fd } = await bound(a);
      const { out } = call(syscalls, fd, op, { index: PCI_CONFIG_REGION_INDEX });
      expect(out.size).toBeGreaterThanOrEqual(256n);
      const isMaster = (file: Fd): boolean =>
        ((syscalls.readAt(file, out.offset + 4n, 2)[0] ?? 0) & 4) !== 0;
      setBusMaster(syscalls, fd, true);
      expect(isMaster(fd)).toBe(true);
      setBusMaster(syscalls, fd, false);
      expect(isMaster(fd)).toBe(false);
      expect(await answerOf(() => call(syscalls, fd, op, { index: 99 }))).toBe('EINVAL');
      const closed = keep(openDevice(syscalls, a));
      expect(await answerOf(() => syscalls.readAt(closed, out.offset, 2))).toBe('EINVAL');
    });

    it('takes an eventfd for the request interrupt, another in its place, and none', async () => {
      const closed = keep(openDevice(syscalls, a));
      const unbound = (): void => disarmRequest(syscalls, closed);
      expect(await answerOf(unbound)).toBe('EINVAL');
      const { fd } = await bound(a);
      expect(await answerOf(() => disarmRequest(syscalls, fd))).toBe('ok');
      expect(await answerOf(() => armRequest(syscalls, fd, 9999 as Fd))).toBe('EBADF');
      expect(await answerOf(() => armRequest(syscalls, fd, rig.iommufd))).toBe('EINVAL');
      const [first, second] = [rig.signal(), rig.signal()];
      expect(await answerOf(() => armRequest(syscalls, fd, first.fd))).toBe('ok');
      expect(await answerOf(() => armRequest(syscalls, fd, second.fd))).toBe('ok');
      expect(await answerOf(() => tryOut(fd))).toBe('ok');
      await expect.poll(second.heard).toBe(1);
      expect(first.heard()).toBe(0);
      expect(await answerOf(() => disarmRequest(syscalls, fd))).toBe('ok');
      expect(await answerOf(() => tryOut(fd)), 'nothing is armed').toBe('EINVAL');
    });

    it('refuses what is no setting of the request interrupt', async () => {
      const { fd } = await bound(a);
      const signal = rig.signal();
      const set = (fields: object, value = signal.fd as number): Promise<string> =>
        answerOf(() =>
          call(
            syscalls,
            fd,
            VFIO_OPS.VFIO_DEVICE_SET_IRQS,
            { ...SETTING, ...fields },
            int32(value),
          ),
        );
      expect(await set({})).toBe('ok');
      expect(await set({}, -2)).toBe('EINVAL');
      expect(await set({ index: 5 })).toBe('EINVAL');
      expect(await set({ start: 1 })).toBe('EINVAL');
      expect(await set({ count: 2 })).toBe('EINVAL');
      expect(await set({ count: 0 })).toBe('EINVAL');
      expect(await set({ flags: 0x40 | SETTING.flags })).toBe('EINVAL');
      expect(await set({ flags: 0x20 }), 'no kind of data').toBe('EINVAL');
      expect(await set({ flags: 0x26 }), 'two kinds of data').toBe('EINVAL');
      expect(await set({ flags: 0x04 }), 'no action').toBe('ENOTTY');
      expect(await set({ flags: 0x0c }), 'a mask').toBe('ENOTTY');
      const short = (): unknown => call(syscalls, fd, VFIO_OPS.VFIO_DEVICE_SET_IRQS, SETTING);
      expect(await answerOf(short)).toBe('EINVAL');
      expect(await set({ flags: 0x21, count: 0 }), 'takes it away').toBe('ok');
      expect(await set({ flags: 0x21, count: 0 })).toBe('EINVAL');
    });

    it('allocates, attaches, replaces, detaches and frees', async () => {
      const { fd, devId } = await bound(a);
      const ioas = allocIoas(syscalls, rig.iommufd);
      const first = await hwptOf(devId, ioas);
      const second = await hwptOf(devId, ioas);
      expect(classify(syscalls, rig.iommufd, first)).toBe('hwpt');
      expect(classify(syscalls, rig.iommufd, devId)).toBe('device');
      expect(await attachPt(syscalls, fd, first)).toBe(first);
      expect(await answerOf(() => destroy(syscalls, rig.iommufd, first))).toBe('EBUSY');
      expect(await answerOf(() => destroy(syscalls, rig.iommufd, ioas))).toBe('EBUSY');
      expect(await answerOf(() => destroy(syscalls, rig.iommufd, devId as never))).toBe('EBUSY');
      expect(await attachPt(syscalls, fd, first)).toBe(first);
      expect(await attachPt(syscalls, fd, second)).toBe(second);
      expect(await answerOf(() => destroy(syscalls, rig.iommufd, first))).toBe('ok');
      expect(await answerOf(() => detachPt(syscalls, fd))).toBe('ok');
      expect(await answerOf(() => detachPt(syscalls, fd))).toBe('ok');
      expect(await answerOf(() => destroy(syscalls, rig.iommufd, second))).toBe('ok');
      expect(await answerOf(() => destroy(syscalls, rig.iommufd, ioas))).toBe('ok');
    });

    it('refuses what is no page table', async () => {
      const { fd, devId } = await bound(a);
      const ioas = allocIoas(syscalls, rig.iommufd);
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
      const ioas = allocIoas(syscalls, rig.iommufd);
      const made = await hwptOf(one.devId, ioas);
      const auto = await attachPt(syscalls, one.fd, ioas);
      expect(auto).not.toBe(made);
      expect(await attachPt(syscalls, two.fd, ioas)).toBe(auto);
      await detachPt(syscalls, one.fd);
      expect(classify(syscalls, rig.iommufd, auto)).toBe('hwpt');
      await detachPt(syscalls, two.fd);
      expect(classify(syscalls, rig.iommufd, auto)).toBe('untyped');
      expect(classify(syscalls, rig.iommufd, made)).toBe('hwpt');
    });

    it('reserves the MSI window with the attach, and gives it back with the detach', async () => {
      const { fd, devId } = await bound(a);
      const ioas = allocIoas(syscalls, rig.iommufd);
      const msiUsable = (): boolean =>
        iovaRanges(syscalls, rig.iommufd, ioas).ranges.some(
          ({ start, last }) => start <= 0xfee00000n && last >= 0xfeefffffn,
        );
      const hwpt = await hwptOf(devId, ioas);
      expect(iovaRanges(syscalls, rig.iommufd, ioas).alignment).toBe(4096n);
      expect(msiUsable()).toBe(true);
      await attachPt(syscalls, fd, hwpt);
      expect(msiUsable()).toBe(false);
      expect(
        await answerOf(() =>
          allowIovas(syscalls, rig.iommufd, ioas, [{ start: 0xfe000000n, last: 0xffffffffn }]),
        ),
      ).toBe('EADDRINUSE');
      await detachPt(syscalls, fd);
      expect(msiUsable()).toBe(true);
    });

    it('refuses an attach into an allow list that the device would cut', async () => {
      const { fd, devId } = await bound(a);
      const ioas = allocIoas(syscalls, rig.iommufd);
      allowIovas(syscalls, rig.iommufd, ioas, [{ start: 0xfe000000n, last: 0xffffffffn }]);
      const hwpt = await hwptOf(devId, ioas);
      expect(await answerOf(() => attachPt(syscalls, fd, hwpt))).toBe('EADDRINUSE');
      expect(await answerOf(() => destroy(syscalls, rig.iommufd, hwpt))).toBe('ok');
    });

    it('refuses an allocation whose aperture the allow list leaves', async () => {
      const { devId } = await bound(a);
      const ioas = allocIoas(syscalls, rig.iommufd);
      allowIovas(syscalls, rig.iommufd, ioas, [{ start: 1n << 60n, last: (1n << 60n) + 0xfffn }]);
      expect(await answerOf(() => hwptOf(devId, ioas))).toBe('EADDRINUSE');
    });

    it('tracks dirty pages where the IOMMU can, and says EOPNOTSUPP where it cannot', async () => {
      const { devId } = await bound(a);
      const ioas = allocIoas(syscalls, rig.iommufd);
      expect(canTrackDirty(syscalls, rig.iommufd, devId)).toBe(target.tracks);
      const plain = await hwptOf(devId, ioas);
      expect(await answerOf(() => setDirtyTracking(syscalls, rig.iommufd, plain, true))).toBe(
        'EOPNOTSUPP',
      );
      const dirty = (): Promise<HwptId> => hwptOf(devId, ioas, HWPT_ALLOC_DIRTY_TRACKING);
      expect(await answerOf(dirty)).toBe(target.tracks ? 'ok' : 'EOPNOTSUPP');
    });

    it('keeps a device attached over another IOAS by one replace', async () => {
      const { fd, devId } = await bound(a);
      const [from, to] = [allocIoas(syscalls, rig.iommufd), allocIoas(syscalls, rig.iommufd)];
      const [first, second] = [await hwptOf(devId, from), await hwptOf(devId, to)];
      await attachPt(syscalls, fd, first);
      expect(await attachPt(syscalls, fd, second)).toBe(second);
      for (const id of [first, from])
        expect(await answerOf(() => destroy(syscalls, rig.iommufd, id))).toBe('ok');
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
      expect(await answerOf(() => bindIommufd(syscalls, fd, rig.iommufd))).toBe('ok');
    });

    it('keeps both on one page table, and moves both by one replace', async () => {
      const one = await bound(c);
      const two = await bound(d);
      const ioas = allocIoas(syscalls, rig.iommufd);
      const first = await hwptOf(one.devId, ioas);
      const second = await hwptOf(one.devId, ioas);
      await attachPt(syscalls, one.fd, first);
      expect(await answerOf(() => attachPt(syscalls, two.fd, second))).toBe('EINVAL');
      await attachPt(syscalls, two.fd, first);
      await attachPt(syscalls, one.fd, second);
      expect(await answerOf(() => destroy(syscalls, rig.iommufd, first))).toBe('ok');
      expect(await attachPt(syscalls, two.fd, second)).toBe(second);
      expect(await answerOf(() => attachPt(syscalls, one.fd, ioas))).toBe('ok');
      expect(await answerOf(() => destroy(syscalls, rig.iommufd, second))).toBe('ok');
    });

    it('cannot join a made page table through the IOAS id', async () => {
      const one = await bound(c);
      const two = await bound(d);
      const ioas = allocIoas(syscalls, rig.iommufd);
      await attachPt(syscalls, one.fd, await hwptOf(one.devId, ioas));
      expect(await answerOf(() => attachPt(syscalls, two.fd, ioas))).toBe('EINVAL');
    });
  });

  describe.skipIf(target.mdev === null)(`${name}: an mdev (else modelled, not run)`, () => {
    const mdev = target.mdev ?? '';

    it('attaches to an IOAS id and to nothing else', async () => {
      const { fd, devId } = await bound(mdev);
      const ioas = allocIoas(syscalls, rig.iommufd);
      const other = allocIoas(syscalls, rig.iommufd);
      expect(await answerOf(() => attachPt(syscalls, fd, devId as never))).toBe('ENOENT');
      expect(await attachPt(syscalls, fd, ioas)).toBe(ioas);
      expect(iovaRanges(syscalls, rig.iommufd, ioas).alignment).toBe(4096n);
      expect(await answerOf(() => destroy(syscalls, rig.iommufd, ioas))).toBe('EBUSY');
      expect(await attachPt(syscalls, fd, other)).toBe(other);
      expect(await answerOf(() => destroy(syscalls, rig.iommufd, ioas))).toBe('ok');
      expect(await answerOf(() => detachPt(syscalls, fd))).toBe('ok');
      expect(await answerOf(() => detachPt(syscalls, fd))).toBe('ok');
      expect(await answerOf(() => canTrackDirty(syscalls, rig.iommufd, devId))).toBe('ENOENT');
      expect(await answerOf(() => hwptOf(devId, other))).toBe('ENOENT');
    });
  });
}
