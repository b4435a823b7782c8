/** Refusals of device files: before BIND, of malformed calls, and of what a device does not have. */
import { describe, expect, it } from 'vitest';
import { call } from '../../src/kernel/call.ts';
import { allocIoas } from '../../src/kernel/iommufd.ts';
import { IOMMUFD_OPS } from '../../src/kernel/uapi/iommufd.ts';
import { VFIO_OPS } from '../../src/kernel/uapi/vfio.ts';
import { attachPt, bindIommufd, openDevice } from '../../src/kernel/vfio.ts';
import { answerOf, type Rig } from './rig.ts';

const PAGE = 4096n;
const FIXED_RW = 7;

/** Declares the cases. */
export function fileCases(rig: Rig): void {
  const { name, target, syscalls, keep, bound } = rig;
  const [a] = target.single ?? [''];
  const [c, d] = target.mates ?? ['', ''];

  describe(`${name}: refusals of device files`, () => {
    it('answers EINVAL to every ioctl before BIND', async () => {
      const fd = keep(openDevice(syscalls, a));
      for (const op of Object.values(VFIO_OPS)) {
        if (op === VFIO_OPS.VFIO_DEVICE_BIND_IOMMUFD) continue;
        expect(await answerOf(() => call(syscalls, fd, op, {})), op.name).toBe('EINVAL');
      }
    });

    it('does not bind a device whose group somebody holds by its legacy file', async () => {
      const letGo = target.holdGroup?.(a);
      const fd = keep(openDevice(syscalls, a));
      expect(await answerOf(() => bindIommufd(syscalls, fd, rig.iommufd))).toBe('EBUSY');
      await letGo?.();
      expect(await answerOf(() => bindIommufd(syscalls, fd, rig.iommufd))).toBe('ok');
    });

    it('leaves a device detached whose IOAS has pages that nobody can pin', async () => {
      const { fd } = await bound(a);
      const ioas = allocIoas(syscalls, rig.iommufd);
      const nothing = { ioas_id: ioas, flags: FIXED_RW, iova: PAGE, length: PAGE, user_va: null };
      call(syscalls, rig.iommufd, IOMMUFD_OPS.IOMMU_IOAS_MAP, nothing);
      expect(await answerOf(() => attachPt(syscalls, fd, ioas))).toBe('EFAULT');
      const range = { ioas_id: ioas, iova: PAGE, length: PAGE };
      call(syscalls, rig.iommufd, IOMMUFD_OPS.IOMMU_IOAS_UNMAP, range);
      expect(await answerOf(() => attachPt(syscalls, fd, ioas))).toBe('ok');
    });

    it('attaches no mdev to an IOAS whose mappings do not keep to pages', async () => {
      const { fd } = await bound(target.mdev ?? '');
      const ioas = allocIoas(syscalls, rig.iommufd);
      const small = { ioas_id: ioas, flags: FIXED_RW, iova: 1024n, length: 1024n };
      const mapped = { ...small, user_va: target.memory };
      call(syscalls, rig.iommufd, IOMMUFD_OPS.IOMMU_IOAS_MAP, mapped);
      expect(await answerOf(() => attachPt(syscalls, fd, ioas))).toBe('EADDRINUSE');
    });

    it('shows a function and an mdev as PCI devices: nine regions, five kinds of interrupts', async () => {
      for (const cdev of [a, target.mdev ?? '']) {
        const { fd } = await bound(cdev);
        const { out } = call(syscalls, fd, VFIO_OPS.VFIO_DEVICE_GET_INFO, {});
        expect([out.num_regions, out.num_irqs]).toEqual([9, 5]);
        expect(out.flags & 2).toBe(2);
      }
    });

    it('knows no bus reset on the root bus, and wants room for the mates elsewhere', async () => {
      const op = VFIO_OPS.VFIO_DEVICE_GET_PCI_HOT_RESET_INFO;
      const alone = await bound(a);
      expect(await answerOf(() => call(syscalls, alone.fd, op, {}))).toBe('ENODEV');
      const mate = await bound(c);
      await bound(d);
      expect(await answerOf(() => call(syscalls, mate.fd, op, {}))).toBe('ENOSPC');
    });
  });
}
