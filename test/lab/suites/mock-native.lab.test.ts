/** iommufd's selftest mock is there, and its devices do what the suites rely on. */
import { describe, expect, it } from 'vitest';
import type { DevId } from '../../../src/base/ids.ts';
import { allocHwpt, allocIoas, knowsIoctl, openIommufd } from '../../../src/kernel/iommufd.ts';
import { nativeSyscalls } from '../../../src/kernel/native/syscalls.ts';
import { HWPT_ALLOC_DIRTY_TRACKING } from '../../../src/kernel/uapi/iommufd.ts';
import { callMock } from '../mock-call.ts';
import { IOMMU_TEST_REQUEST, MOCK_NO_DIRTY, MOCK_OPS } from '../mock-uapi.ts';

describe('the selftest mock', () => {
  it('answers', () => {
    const kernel = nativeSyscalls();
    expect(knowsIoctl(kernel, openIommufd(kernel), IOMMU_TEST_REQUEST)).toBe(true);
  });

  it('takes a tracking HWPT on a capable device and refuses it on another', async () => {
    const kernel = nativeSyscalls();
    const iommufd = openIommufd(kernel);
    const ioas = allocIoas(kernel, iommufd);
    const create = (dev_flags: number) =>
      callMock(kernel, iommufd, MOCK_OPS.MOCK_DOMAIN_FLAGS, { id: ioas, dev_flags });
    const capable = create(0);
    const plain = create(MOCK_NO_DIRTY);
    const hwpt = await allocHwpt(kernel, iommufd, {
      devId: capable.idev_id as DevId,
      ptId: ioas,
      flags: HWPT_ALLOC_DIRTY_TRACKING,
    });
    const replace = (stdev: number): number =>
      callMock(kernel, iommufd, MOCK_OPS.MOCK_DOMAIN_REPLACE, { id: stdev, pt_id: hwpt }).pt_id;
    expect(replace(capable.stdev_id)).toBe(hwpt);
    expect(() => replace(plain.stdev_id)).toThrow(expect.objectContaining({ errno: 'EINVAL' }));
    await kernel.slow.close(iommufd);
  });
});
