/** Nested HWPTs, which only the selftest's driver can make in the lab. */
import { describe, expect, it } from 'vitest';
import { call } from '../../src/kernel/call.ts';
import { allocIoas, setDirtyTracking } from '../../src/kernel/iommufd.ts';
import { HWPT_ALLOC_NEST_PARENT, IOMMUFD_OPS } from '../../src/kernel/uapi/iommufd.ts';
import { MOCK_NESTED } from '../lab/mock-uapi.ts';
import { mockHands } from './mock-cases.ts';
import { answerOf, GONE, type Rig } from './rig.ts';

/** Declares the cases. */
export function nestedCases(rig: Rig): void {
  const { plug, replace, destroyed } = mockHands(rig);
  const alloc = (dev_id: number, pt_id: number, more: object = {}): number =>
    call(rig.syscalls, rig.iommufd, IOMMUFD_OPS.IOMMU_HWPT_ALLOC, {
      dev_id,
      pt_id,
      data_type: MOCK_NESTED.type,
      data_len: MOCK_NESTED.lengthBytes,
      data_uptr: new Uint8Array(MOCK_NESTED.lengthBytes),
      ...more,
    }).out.out_hwpt_id;

  describe(`${rig.name}: nested page tables`, () => {
    it('refuses what makes none', async () => {
      const ioas = allocIoas(rig.syscalls, rig.iommufd);
      const { devId } = plug(ioas);
      const parent = await rig.hwptOf(devId, ioas, HWPT_ALLOC_NEST_PARENT);
      const plain = await rig.hwptOf(devId, ioas);
      const refused = (pt: number, more: object = {}): Promise<string> =>
        answerOf(() => alloc(devId, pt, more));
      expect(await refused(parent, { data_type: 0 })).toBe('EINVAL');
      expect(await refused(parent, { data_type: 1 })).toBe('EOPNOTSUPP');
      expect(await refused(parent, { data_len: 2 })).toBe('EINVAL');
      expect(await refused(parent, { data_uptr: null })).toBe('EFAULT');
      expect(await refused(parent, { flags: 2 })).toBe('EOPNOTSUPP');
      expect(await refused(parent, { flags: 4, fault_id: GONE })).toBe('ENOENT');
      expect(await refused(plain)).toBe('EINVAL');
      expect(await refused(ioas)).toBe('EOPNOTSUPP');
    });

    it('stands above its parent and keeps it', async () => {
      const ioas = allocIoas(rig.syscalls, rig.iommufd);
      const device = plug(ioas);
      const parent = await rig.hwptOf(device.devId, ioas, HWPT_ALLOC_NEST_PARENT);
      const nested = alloc(device.devId, parent);
      expect(await answerOf(() => alloc(device.devId, nested))).toBe('EINVAL');
      expect(await destroyed(parent)).toBe('EBUSY');
      expect(replace(device, nested)).toBe(nested);
      expect(await destroyed(nested)).toBe('EBUSY');
      const tracking = setDirtyTracking(rig.syscalls, rig.iommufd, nested as never, true);
      expect(await answerOf(() => tracking)).toBe('ENOENT');
      expect(replace(device, ioas)).not.toBe(nested);
      expect(await destroyed(nested)).toBe('ok');
      expect(await destroyed(parent)).toBe('ok');
    });

    it('is invalidated by the kind of entry that its driver knows', async () => {
      const ioas = allocIoas(rig.syscalls, rig.iommufd);
      const { devId } = plug(ioas);
      const parent = await rig.hwptOf(devId, ioas, HWPT_ALLOC_NEST_PARENT);
      const nested = alloc(devId, parent);
      const invalidate = (fields: object): Promise<string> =>
        answerOf(() =>
          call(rig.syscalls, rig.iommufd, IOMMUFD_OPS.IOMMU_HWPT_INVALIDATE, {
            hwpt_id: nested,
            data_type: MOCK_NESTED.invalidation,
            ...fields,
          }),
        );
      expect(await invalidate({})).toBe('ok');
      expect(await invalidate({ data_type: 0xffff })).toBe('EINVAL');
      expect(await invalidate({ entry_num: 1 })).toBe('EINVAL');
      expect(await invalidate({ __reserved: 1 })).toBe('EOPNOTSUPP');
      expect(await invalidate({ hwpt_id: GONE })).toBe('ENOENT');
    });
  });
}
