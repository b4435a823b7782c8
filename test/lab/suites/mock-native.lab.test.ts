/** iommufd's selftest mock is there, and its devices do what the suites rely on. */
import { describe, expect, it } from 'vitest';
import type { DevId } from '../../../src/base/ids.ts';
import { call, callSlow } from '../../../src/kernel/call.ts';
import { allocHwpt, allocIoas, knowsIoctl, openIommufd } from '../../../src/kernel/iommufd.ts';
import { nativeSyscalls } from '../../../src/kernel/native/syscalls.ts';
import { HWPT_ALLOC_DIRTY_TRACKING } from '../../../src/kernel/uapi/iommufd.ts';
import {
  IOMMU_TEST_CMD,
  MOCK_DOMAIN_FLAGS,
  MOCK_DOMAIN_REPLACE,
  MOCK_NO_DIRTY,
} from '../mock-uapi.ts';

describe('the selftest mock', () => {
  it('answers', () => {
    const kernel = nativeSyscalls();
    expect(knowsIoctl(kernel, openIommufd(kernel), IOMMU_TEST_CMD.request)).toBe(true);
  });

  it('takes a tracking HWPT on a capable device and refuses it on another', async () => {
    const kernel = nativeSyscalls();
    const iommufd = openIommufd(kernel);
    const ioas = allocIoas(kernel, iommufd);
    const create = (flags: number) =>
      call(kernel, iommufd, IOMMU_TEST_CMD, { op: MOCK_DOMAIN_FLAGS, id: ioas, dev_flags: flags })
        .out;
    const capable = create(0);
    const plain = create(MOCK_NO_DIRTY);
    const hwpt = await allocHwpt(kernel, iommufd, {
      devId: capable.idev_id as DevId,
      ptId: ioas,
      flags: HWPT_ALLOC_DIRTY_TRACKING,
    });
    const replace = (stdev: number) =>
      callSlow(kernel, iommufd, IOMMU_TEST_CMD, {
        op: MOCK_DOMAIN_REPLACE,
        id: stdev,
        stdev_id: hwpt,
      });
    await expect(replace(capable.stdev_id)).resolves.toBeDefined();
    await expect(replace(plain.stdev_id)).rejects.toMatchObject({ errno: 'EINVAL' });
    await kernel.slow.close(iommufd);
  });
});
