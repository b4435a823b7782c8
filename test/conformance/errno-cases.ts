/** Refusals that any context gives, with a device of whatever kind the target has: errno by errno. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { DevId, IoasId } from '../../src/base/ids.ts';
import { call } from '../../src/kernel/call.ts';
import { allocIoas, allowIovas, destroy, iovaRanges } from '../../src/kernel/iommufd.ts';
import type { FieldsIn } from '../../src/kernel/struct.ts';
import { IOMMUFD_OPS } from '../../src/kernel/uapi/iommufd.ts';
import { answerOf, GONE, type Rig } from './rig.ts';

const FIXED_RW = 7;
const PAGE = 4096n;
/** Inside every aperture of the lab. */
const BASE = 0x100_0000n;
const ALL = 0xffff_ffff_ffff_ffffn;
/** Outside every aperture of the lab. */
const FAR = { start: 1n << 60n, last: (1n << 60n) + 0xfffn };

/** Declares the cases. */
export function errnoCases(rig: Rig): void {
  describe(`${rig.name}: refusals of a context`, () => {
    rangeRefusals(rig);
    mapRefusals(rig);
    copyRefusals(rig);
    otherRefusals(rig);
  });
  describe(`${rig.name}: refusals of page tables`, () => hwptRefusals(rig));
}

/** The answer of an ioctl on the context of the case. */
function asker(rig: Rig) {
  return <N extends keyof typeof IOMMUFD_OPS>(
    name: N,
    fields: FieldsIn<(typeof IOMMUFD_OPS)[N]['struct']>,
  ): Promise<string> => answerOf(() => call(rig.syscalls, rig.iommufd, IOMMUFD_OPS[name], fields));
}

function rangeRefusals(rig: Rig): void {
  const ask = asker(rig);

  it('says how many ranges there are where the buffer is short, and nothing without one', async () => {
    const ioas_id = allocIoas(rig.syscalls, rig.iommufd);
    expect(await ask('IOMMU_IOAS_IOVA_RANGES', { ioas_id })).toBe('EMSGSIZE');
    expect(await ask('IOMMU_IOAS_IOVA_RANGES', { ioas_id, num_iovas: 4 })).toBe('EFAULT');
    expect(await ask('IOMMU_IOAS_IOVA_RANGES', { ioas_id: GONE })).toBe('ENOENT');
  });

  it('refuses an allow list that it cannot read, or that it does not know', async () => {
    const ioas_id = allocIoas(rig.syscalls, rig.iommufd);
    expect(await ask('IOMMU_IOAS_ALLOW_IOVAS', { ioas_id, num_iovas: 1 })).toBe('EFAULT');
    expect(await ask('IOMMU_IOAS_ALLOW_IOVAS', { ioas_id, __reserved: 1 })).toBe('EOPNOTSUPP');
  });

  it('keeps allow list and page tables apart, whichever comes first', async () => {
    const device = await rig.device();
    const ioas = allocIoas(rig.syscalls, rig.iommufd);
    const hwpt = await rig.hwptOf(device, ioas);
    const allow = (): Promise<string> =>
      answerOf(() => allowIovas(rig.syscalls, rig.iommufd, ioas, [FAR]));
    expect(await allow()).toBe('EADDRINUSE');
    await destroy(rig.syscalls, rig.iommufd, hwpt);
    expect(await allow()).toBe('ok');
    expect(await answerOf(() => rig.hwptOf(device, ioas))).toBe('EADDRINUSE');
  });
}

function mapRefusals(rig: Rig): void {
  const ask = asker(rig);
  const map = (ioas_id: number, iova: bigint, length: bigint, flags = FIXED_RW): Promise<string> =>
    ask('IOMMU_IOAS_MAP', { ioas_id, flags, iova, length, user_va: rig.target.memory });

  it('maps nothing where there is no IOAS, no room or no memory', async () => {
    const device = await rig.device();
    const ioas = allocIoas(rig.syscalls, rig.iommufd);
    expect(await map(GONE, BASE, PAGE)).toBe('ENOENT');
    expect(await map(ioas, BASE, ALL)).toBe('EOVERFLOW');
    expect(await map(ioas, BASE, ALL - 1n)).toBe('EINVAL');
    const nothing = { ioas_id: ioas, flags: FIXED_RW, iova: BASE, length: PAGE, user_va: null };
    // Without a page table nothing is pinned, so nobody notices.
    expect(await ask('IOMMU_IOAS_MAP', nothing)).toBe('ok');
    expect(await answerOf(() => rig.hwptOf(device, ioas))).toBe('EFAULT');
    expect(await ask('IOMMU_IOAS_UNMAP', { ioas_id: ioas, iova: BASE, length: PAGE })).toBe('ok');
    await rig.hwptOf(device, ioas);
    expect(await ask('IOMMU_IOAS_MAP', nothing)).toBe('EFAULT');
    expect(await map(ioas, BASE, PAGE)).toBe('ok');
  });

  it('finds a place inside the allow list or none', async () => {
    const ioas = allocIoas(rig.syscalls, rig.iommufd);
    allowIovas(rig.syscalls, rig.iommufd, ioas, [{ start: BASE, last: BASE + PAGE - 1n }]);
    expect(await map(ioas, 0n, 2n * PAGE, 6)).toBe('ENOSPC');
    expect(await map(ioas, 0n, PAGE, 6)).toBe('ok');
    expect(await map(ioas, BASE, PAGE)).toBe('EEXIST');
  });

  it('unmaps whole mappings in order, and those before one that sticks out are gone', async () => {
    const ioas = allocIoas(rig.syscalls, rig.iommufd);
    const unmap = (iova: bigint, length: bigint): Promise<string> =>
      ask('IOMMU_IOAS_UNMAP', { ioas_id: ioas, iova, length });
    expect(await unmap(PAGE, ALL)).toBe('EOVERFLOW');
    expect(await map(ioas, BASE, PAGE)).toBe('ok');
    expect(await map(ioas, BASE + PAGE, 2n * PAGE)).toBe('ok');
    expect(await unmap(BASE, 2n * PAGE)).toBe('ENOENT');
    expect(await map(ioas, BASE, PAGE)).toBe('ok');
    expect(await map(ioas, BASE + PAGE, PAGE)).toBe('EEXIST');
  });

  it('takes no page table over a mapping that its pages do not fit', async () => {
    const device = await rig.device();
    const ioas = allocIoas(rig.syscalls, rig.iommufd);
    expect(await map(ioas, BASE + 1024n, 1024n)).toBe('ok');
    expect(await answerOf(() => rig.hwptOf(device, ioas))).toBe('EADDRINUSE');
    const small = { option_id: 1, op: 0, object_id: ioas, val64: 0n };
    expect(await ask('IOMMU_OPTION', small)).toBe('EADDRINUSE');
    expect(iovaRanges(rig.syscalls, rig.iommufd, ioas).alignment).toBe(1n);
  });
}

function copyRefusals(rig: Rig): void {
  const ask = asker(rig);

  it('copies what is mapped, and no more rights than it has', async () => {
    const from = allocIoas(rig.syscalls, rig.iommufd);
    const to = allocIoas(rig.syscalls, rig.iommufd);
    const readOnly = { ioas_id: from, flags: 5, iova: BASE, length: 2n * PAGE };
    const mapped = await ask('IOMMU_IOAS_MAP', { ...readOnly, user_va: rig.target.memory });
    expect(mapped).toBe('ok');
    const copy = (fields: FieldsIn<(typeof IOMMUFD_OPS)['IOMMU_IOAS_COPY']['struct']>) =>
      ask('IOMMU_IOAS_COPY', {
        flags: 5,
        dst_ioas_id: to,
        src_ioas_id: from,
        length: PAGE,
        dst_iova: BASE,
        src_iova: BASE,
        ...fields,
      });
    expect(await copy({ flags: 8 })).toBe('EOPNOTSUPP');
    expect(await copy({ flags: 1 })).toBe('EINVAL');
    expect(await copy({ length: 0n })).toBe('EINVAL');
    expect(await copy({ length: ALL })).toBe('EOVERFLOW');
    expect(await copy({ src_ioas_id: GONE })).toBe('ENOENT');
    expect(await copy({ dst_ioas_id: GONE })).toBe('ENOENT');
    expect(await copy({ length: 4n * PAGE })).toBe('ENOENT');
    expect(await copy({ flags: FIXED_RW })).toBe('EPERM');
    expect(await copy({})).toBe('ok');
    expect(await copy({})).toBe('EEXIST');
    allowIovas(rig.syscalls, rig.iommufd, to, [{ start: BASE, last: BASE + PAGE - 1n }]);
    expect(await copy({ flags: 4 })).toBe('ENOSPC');
  });
}

function hwptRefusals(rig: Rig): void {
  const ask = asker(rig);
  let device: DevId;
  let ioas: IoasId;

  beforeEach(async () => {
    device = await rig.device();
    ioas = allocIoas(rig.syscalls, rig.iommufd);
  });

  it('allocates no page table of a malformed request', async () => {
    const alloc = (fields: object): Promise<string> =>
      ask('IOMMU_HWPT_ALLOC', { dev_id: device, pt_id: ioas, ...fields });
    expect(await alloc({ __reserved: 1 })).toBe('EOPNOTSUPP');
    expect(await alloc({ data_len: 4 })).toBe('EINVAL');
    expect(await alloc({ data_type: 1 })).toBe('EINVAL');
    expect(await alloc({ pt_id: GONE })).toBe('EINVAL');
    expect(await alloc({ dev_id: GONE })).toBe('ENOENT');
    expect(await alloc({ dev_id: ioas })).toBe('ENOENT');
    // A parent of nested tables with a fault queue.
    expect(await alloc({ flags: 5, fault_id: GONE })).toBe('EOPNOTSUPP');
    expect(await alloc({})).toBe('ok');
    expect(await answerOf(() => destroy(rig.syscalls, rig.iommufd, ioas))).toBe('EBUSY');
  });

  it('reads no dirty pages of a malformed request, or where nothing tracks', async () => {
    const hwpt_id = await rig.hwptOf(device, ioas);
    const data = new Uint8Array(64);
    const read = (fields: object): Promise<string> =>
      ask('IOMMU_HWPT_GET_DIRTY_BITMAP', {
        hwpt_id,
        iova: BASE,
        length: PAGE,
        page_size: PAGE,
        data,
        ...fields,
      });
    expect(await read({})).toBe('EOPNOTSUPP');
    expect(await read({ flags: 2 })).toBe('EOPNOTSUPP');
    expect(await read({ page_size: 0n })).toBe('EINVAL');
    expect(await read({ iova: BASE + 1n })).toBe('EINVAL');
    expect(await read({ iova: ALL - PAGE + 1n, length: 2n * PAGE })).toBe('EOVERFLOW');
    expect(await read({ hwpt_id: ioas })).toBe('ENOENT');
    expect(await ask('IOMMU_HWPT_SET_DIRTY_TRACKING', { hwpt_id, flags: 2 })).toBe('EOPNOTSUPP');
  });

  it('keeps huge pages as they are once something is mapped in a page table', async () => {
    await rig.hwptOf(device, ioas);
    const user_va = rig.target.memory;
    const mapping = { ioas_id: ioas, flags: FIXED_RW, iova: BASE, length: PAGE, user_va };
    expect(await ask('IOMMU_IOAS_MAP', mapping)).toBe('ok');
    const small = { option_id: 1, op: 0, object_id: ioas, val64: 0n };
    expect(await ask('IOMMU_OPTION', small)).toBe('EINVAL');
  });

  it('tells of hardware only who asks well', async () => {
    expect(await ask('IOMMU_GET_HW_INFO', { dev_id: device, flags: 0x80 })).toBe('EOPNOTSUPP');
    expect(await ask('IOMMU_GET_HW_INFO', { dev_id: device, data_len: 64 })).toBe('EFAULT');
    expect(await ask('IOMMU_GET_HW_INFO', { dev_id: ioas })).toBe('ENOENT');
    expect(await ask('IOMMU_GET_HW_INFO', { dev_id: device })).toBe('ok');
  });
}

function otherRefusals(rig: Rig): void {
  const ask = asker(rig);

  it('has no compatibility IOAS, no nested table of that id, no fault queue with flags', async () => {
    expect(await ask('IOMMU_VFIO_IOAS', {})).toBe('ENODEV');
    expect(await ask('IOMMU_HWPT_INVALIDATE', { hwpt_id: GONE })).toBe('ENOENT');
    expect(await ask('IOMMU_FAULT_QUEUE_ALLOC', { flags: 1 })).toBe('EOPNOTSUPP');
  });

  it('takes a longer struct whose rest is zero', () => {
    const { request, struct } = IOMMUFD_OPS.IOMMU_IOAS_ALLOC;
    const bytes = new Uint8Array(struct.size + 8);
    new DataView(bytes.buffer).setUint32(0, bytes.length, true);
    rig.syscalls.ioctl(rig.iommufd, request, { bytes, pointers: [] });
    expect(bytes[8]).toBeGreaterThan(0);
  });
}
