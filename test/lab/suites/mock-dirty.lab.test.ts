/**
 * Edits of the dirty mode on the kernel's own bitmaps. A mock device does no DMA: the selftest marks pages
 * as written in its place. So this shows which HWPT keeps the account before and after an edit, not
 * what a device writes meanwhile.
 */
import { describe, expect, it } from 'vitest';
import type { HwptId, IoasId } from '../../../src/base/ids.ts';
import { call, callSlow } from '../../../src/kernel/call.ts';
import type { Fd } from '../../../src/kernel/port.ts';
import { struct } from '../../../src/kernel/struct.ts';
import { IOMMUFD_OPS } from '../../../src/kernel/uapi/iommufd.ts';
import { type IoctlOp, ioNumber } from '../../../src/kernel/uapi/op.ts';
import { mapMemory, pages } from '../edu.ts';
import { MockWorld } from '../mock-world.ts';

/**
 * DIRTY of iommufd's selftest: stands for the writes of a device. `id` is a HWPT that tracks; each bit
 * behind `uptr` marks one page of it as written. Source: iommufd_test.h, struct iommu_test_cmd (v6.12).
 */
const DIRTY = {
  name: 'IOMMU_TEST_CMD',
  request: ioNumber(0xa0),
  struct: struct('iommu_test_cmd', [
    ['size', 'u32'],
    ['op', 'u32'],
    ['id', 'u32'],
    ['__reserved', 'u32'],
    ['flags', 'u32'],
    ['iova', 'u64'],
    ['length', 'u64'],
    ['page_size', 'u64'],
    ['uptr', 'ptr'],
    ['out_nr_dirty', 'u64'],
    ['last', 'u32'],
  ]),
  last: 'last',
  sizeField: 'size',
  slow: false,
  errnos: {},
} as const satisfies IoctlOp;
const OP_DIRTY = 13;
/** Pages of the mock are half as large as the kernel's. */
const MOCK_PAGE_SIZE = 2048n;

const IOVA = 0x1000000n;
const memory = pages(4);
const range = { iova: IOVA, length: BigInt(memory.length), page_size: MOCK_PAGE_SIZE };
const devices = [{ pci: '0000:01:00.0' }, { pci: '0000:02:00.0' }];
const tracked = { mode: 'required', active: true };

/** A world with a container that has memory mapped. */
class Tracked extends MockWorld {
  async map(): Promise<void> {
    const { iommufd, ioas } = this.#held();
    await mapMemory(this.host.syscalls, { iommufd, ioas }, memory, IOVA);
  }

  /** Marks pages as written: one bit a page. EINVAL where nothing is tracked. */
  write(bits: number): bigint {
    const { iommufd, hwpt } = this.#held();
    const fields = { op: OP_DIRTY, id: hwpt, ...range, uptr: Uint8Array.of(bits) };
    return call(this.host.syscalls, iommufd, DIRTY, fields).out.out_nr_dirty;
  }

  /** Reads and clears the account of the HWPT that the devices are on. */
  async written(): Promise<number | undefined> {
    const { iommufd, hwpt } = this.#held();
    const data = new Uint8Array(8);
    const fields = { hwpt_id: hwpt, ...range, data };
    await callSlow(this.host.syscalls, iommufd, IOMMUFD_OPS.IOMMU_HWPT_GET_DIRTY_BITMAP, fields);
    return data[0];
  }

  #held(): { readonly iommufd: Fd; readonly ioas: IoasId; readonly hwpt: HwptId } {
    const [context] = this.host.journal.contexts();
    const [container] = context?.containers ?? [];
    const [hwpt] = container?.hwpts ?? [];
    if (!context || !container || !hwpt) throw new Error('the container has no HWPT');
    return { iommufd: context.fd as Fd, ioas: container.ioas as IoasId, hwpt: hwpt.id as HwptId };
  }
}

describe('the account of written pages', () => {
  it('begins with the edit that asks for it, follows its switch, and ends without a replace', async () => {
    const world = new Tracked();
    await world.apply({ devices });
    await world.map();
    await expect(world.written()).rejects.toMatchObject({ errno: 'EOPNOTSUPP' });

    expect((await world.apply({ devices, dirtyTracking: tracked })).drift).toEqual([]);
    expect(await world.written()).toBe(0);
    expect(world.write(0b10010110)).toBe(4n);
    expect(await world.written()).toBe(0b10010110);
    expect(await world.written(), 'a read clears').toBe(0);

    await world.apply({ devices, dirtyTracking: { mode: 'required' } });
    expect(() => world.write(1)).toThrow('EINVAL');

    await world.apply({ devices, dirtyTracking: tracked });
    expect(world.write(0b1)).toBe(1n);
    const dropped = await world.apply({ devices });
    expect(dropped.drift).toEqual([]);
    expect(dropped.plan.steps.map(({ kind }) => kind)).toEqual(['set-dirty-tracking']);
    expect(() => world.write(1), 'the HWPT stays, its account does not').toThrow('EINVAL');
  });

  it('is kept by an edit that brings another device to the HWPT', async () => {
    const world = new Tracked();
    await world.apply({ devices: devices.slice(0, 1), dirtyTracking: tracked });
    await world.map();
    expect(world.write(0b1010)).toBe(2n);
    const { plan } = await world.apply({ devices, dirtyTracking: tracked });
    expect(plan.steps.map(({ kind }) => kind)).toEqual(['open-device', 'attach-device']);
    expect(await world.written()).toBe(0b1010);
  });
});
