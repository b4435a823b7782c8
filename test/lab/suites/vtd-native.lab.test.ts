/** The native port and the typed calls on real `edu` functions behind an emulated VT-d. */
import { describe, expect, it } from 'vitest';
import { KernelError } from '../../../src/kernel/call.ts';
import {
  allocHwpt,
  allocIoas,
  canTrackDirty,
  destroy,
  iovaRanges,
  openIommufd,
} from '../../../src/kernel/iommufd.ts';
import { nativeSyscalls } from '../../../src/kernel/native/syscalls.ts';
import { HWPT_ALLOC_DIRTY_TRACKING } from '../../../src/kernel/uapi/iommufd.ts';
import { attachPt, bindIommufd, detachPt, openDevice } from '../../../src/kernel/vfio.ts';
import { bindVfio, pageTableRoots, rootEdus } from '../guest.ts';

describe('typed calls on VT-d', () => {
  it('opens, binds, allocates, attaches, replaces, detaches and frees', async () => {
    const kernel = nativeSyscalls();
    const [edu] = rootEdus();
    if (edu === undefined) throw new Error('the lab has no edu on the root bus');
    const iommufd = openIommufd(kernel);
    const device = openDevice(kernel, bindVfio(edu));
    const devId = await bindIommufd(kernel, device, iommufd);
    const ioas = allocIoas(kernel, iommufd);
    expect(canTrackDirty(kernel, iommufd, devId)).toBe(false);

    const first = await allocHwpt(kernel, iommufd, { devId, ptId: ioas, flags: 0 });
    const second = await allocHwpt(kernel, iommufd, { devId, ptId: ioas, flags: 0 });
    expect(await attachPt(kernel, device, first)).toBe(first);
    const root = pageTableRoots().get(edu);
    expect(root).toBeDefined();
    expect(await attachPt(kernel, device, second)).toBe(second);
    expect(pageTableRoots().get(edu)).not.toBe(root);

    const holes = iovaRanges(kernel, iommufd, ioas).ranges;
    expect(holes.some(({ start, last }) => start <= 0xfee00000n && last >= 0xfee00000n)).toBe(
      false,
    );
    await expect(destroy(kernel, iommufd, second)).rejects.toMatchObject({ errno: 'EBUSY' });
    await detachPt(kernel, device);
    expect(pageTableRoots().has(edu)).toBe(false);
    for (const id of [first, second, ioas]) await destroy(kernel, iommufd, id);
    await kernel.slow.close(device);
    await kernel.slow.close(iommufd);
  });

  it('refuses a tracking HWPT with EOPNOTSUPP and says the cause', async () => {
    const kernel = nativeSyscalls();
    const [edu] = rootEdus();
    if (edu === undefined) throw new Error('the lab has no edu on the root bus');
    const iommufd = openIommufd(kernel);
    const device = openDevice(kernel, bindVfio(edu));
    const devId = await bindIommufd(kernel, device, iommufd);
    const ioas = allocIoas(kernel, iommufd);
    const flags = HWPT_ALLOC_DIRTY_TRACKING;
    const refusal = await allocHwpt(kernel, iommufd, { devId, ptId: ioas, flags }).catch(
      (e: unknown) => e,
    );
    expect(refusal).toBeInstanceOf(KernelError);
    expect((refusal as KernelError).errno).toBe('EOPNOTSUPP');
    expect((refusal as KernelError).why?.cause).toContain('dirty tracking');
    await kernel.slow.close(device);
    await kernel.slow.close(iommufd);
  });
});
