/**
 * A simulated kernel with iommufd's selftest: its ioctl makes mock devices and accesses of the
 * model's own objects. What the mock is (its pages, its aperture, what fits) is here; what happens to
 * a device is the model's own code.
 * Source: drivers/iommu/iommufd/selftest.c (v6.12).
 */
import type { DeviceKey } from '../../src/base/ids.ts';
import { type Fd, type IoctlArg, SyscallError, type Syscalls } from '../../src/kernel/port.ts';
import { attach, bind, unbind } from '../../src/kernel/sim/device.ts';
import { Frame } from '../../src/kernel/sim/frame.ts';
import { moveAccess, PAGE_BYTES, reserve } from '../../src/kernel/sim/ioas.ts';
import { Machine } from '../../src/kernel/sim/machine.ts';
import { pagesOf } from '../../src/kernel/sim/mappings.ts';
import {
  fail,
  find,
  type Ioas,
  insert,
  newId,
  remove,
  type SelftestObject,
  type SimContext,
  type SimDevice,
  type SimIommu,
} from '../../src/kernel/sim/objects.ts';
import {
  ACCESS_PINS,
  IOMMU_TEST_REQUEST,
  MOCK_APERTURE,
  MOCK_HW_INFO_REGISTER,
  MOCK_HW_INFO_TYPE,
  MOCK_NESTED,
  MOCK_NO_DIRTY,
  MOCK_OPS,
  MOCK_PAGE,
} from '../lab/mock-uapi.ts';
import { hostOf, testClock } from '../support/world.ts';

const HOST = JSON.stringify({
  apiVersion: 'autodomain.dev/v1alpha1',
  kind: 'Host',
  metadata: { name: 'selftest' },
  spec: { kernel: { release: 'selftest', features: ['iommufd'] } },
});
const QUIRKS = { failedReplaceDropsReserved: true, unsafeInterrupts: false };
const FIRST_ACCESS_FD = 2_000_000;

/** An open file of CREATE_ACCESS. */
interface Access {
  readonly context: SimContext;
  readonly object: SelftestObject;
  readonly alignment: bigint;
  ioas: Ioas;
}

/** The port over a model with the selftest's ioctl. */
export function mockMachine(): Syscalls {
  const selftest = new Selftest();
  const more = new Map([[IOMMU_TEST_REQUEST, selftest.ioctl]]);
  const { syscalls } = new Machine(hostOf(HOST), { clock: testClock(), more });
  return {
    ...syscalls,
    slow: {
      ...syscalls.slow,
      async close(fd) {
        if (!selftest.closeAccess(fd)) await syscalls.slow.close(fd);
      },
    },
  };
}

/** IOMMU_TEST_CMD. */
class Selftest {
  readonly #accesses = new Map<number, Access>();
  readonly #tracking = mockIommu(true);
  readonly #plain = mockIommu(false);
  #serial = 0;

  readonly ioctl = (context: SimContext, arg: IoctlArg): void => {
    const number = new Frame(MOCK_OPS.MOCK_DOMAIN, arg).number('op');
    const op = Object.values(MOCK_OPS).find((each) => each.number === number);
    const frame = new Frame(op ?? fail('EOPNOTSUPP'), arg);
    switch (op) {
      case MOCK_OPS.MD_CHECK_REFS:
        // The model pins nothing.
        fail('EOPNOTSUPP');
        break;
      case MOCK_OPS.ADD_RESERVED:
        addReserved(context, frame);
        break;
      case MOCK_OPS.MD_CHECK_MAP:
        checkMap(context, frame);
        break;
      case MOCK_OPS.MOCK_DOMAIN:
        this.#plug(context, frame, 0);
        break;
      case MOCK_OPS.MOCK_DOMAIN_FLAGS:
        this.#plug(context, frame, frame.number('dev_flags'));
        break;
      case MOCK_OPS.MOCK_DOMAIN_REPLACE:
        replacePt(context, frame);
        break;
      case MOCK_OPS.CREATE_ACCESS:
        this.#createAccess(context, frame);
        break;
      case MOCK_OPS.ACCESS_REPLACE_IOAS:
        this.#replaceIoas(frame);
        break;
      default:
        markDirty(context, frame);
    }
  };

  /** False where the file is none of ours. */
  closeAccess(fd: number): boolean {
    const access = this.#accesses.get(fd);
    if (access === undefined) return false;
    this.#accesses.delete(fd);
    access.ioas.accesses.delete(access);
    remove(access.context, access.object.id);
    return true;
  }

  /** SELFTEST, DEVICE, and where none can be reused an automatic HWPT: three ids. All or nothing. */
  #plug(context: SimContext, frame: Frame, flags: number): void {
    if ((flags & ~MOCK_NO_DIRTY) !== 0) fail('EINVAL');
    const device = this.#device((flags & MOCK_NO_DIRTY) === 0);
    const unplug = (): void => unbind(device);
    const stdev: MockStdev = { type: 'selftest', id: newId(context), destroy: unplug, device };
    insert(context, stdev);
    try {
      const devId = bind(device, -1 as Fd, context, QUIRKS);
      // Its own id is taken, but nobody can look it up before the call is done.
      if (frame.number('id') === stdev.id) fail('ENOENT');
      frame.set('hwpt_id', attach(device, frame.number('id'), QUIRKS));
      frame.set('stdev_id', stdev.id);
      frame.set('idev_id', devId);
    } catch (error) {
      unplug();
      remove(context, stdev.id);
      throw error;
    }
  }

  #device(tracks: boolean): SimDevice {
    this.#serial += 1;
    const device: SimDevice = {
      key: `mock${this.#serial}` as DeviceKey,
      pci: null,
      mdev: null,
      group: {
        id: this.#serial,
        iommu: tracks ? this.#tracking : this.#plain,
        reserved: [],
        members: [],
        owner: null,
        hwpt: null,
        attached: new Set(),
        holders: [],
      },
      devSet: `mock${this.#serial}`,
      driver: null,
      driverOverride: null,
      cdev: null,
      present: true,
      leaving: null,
      request: null,
      holders: [],
      bound: null,
      ioas: null,
    };
    device.group?.members.push(device);
    return device;
  }

  /** The id of the access is taken before its IOAS is looked up. */
  #createAccess(context: SimContext, frame: Frame): void {
    const flags = frame.number('flags');
    if ((flags & ~ACCESS_PINS) !== 0) fail('EOPNOTSUPP');
    const ioas = find(context, frame.number('id'), 'ioas');
    const alignment = flags === ACCESS_PINS ? PAGE_BYTES : 1n;
    const object = { type: 'selftest', id: newId(context), destroy: () => fail('EBUSY') } as const;
    const access: Access = { context, object, alignment, ioas };
    moveAccess(access, null, ioas, alignment);
    insert(context, object);
    this.#serial += 1;
    const fd = FIRST_ACCESS_FD + this.#serial;
    this.#accesses.set(fd, access);
    frame.set('out_access_fd', fd);
  }

  /** Works on the context of the access, whichever context is asked. */
  #replaceIoas(frame: Frame): void {
    const access = this.#accesses.get(frame.number('id')) ?? fail('EBADFD');
    const ioas = find(access.context, frame.number('ioas_id'), 'ioas');
    moveAccess(access, access.ioas, ioas, access.alignment);
    access.ioas = ioas;
  }
}

/** A mock device as the object that IOMMU_DESTROY unplugs. */
interface MockStdev extends SelftestObject {
  readonly device: SimDevice;
}

function addReserved(context: SimContext, frame: Frame): void {
  const [start, length] = [frame.wide('start'), frame.wide('length')];
  if (length === 0n) fail('EINVAL');
  const last = start + length - 1n;
  if (last >= 1n << 64n) fail('EOVERFLOW');
  const ioas = find(context, frame.number('id'), 'ioas');
  reserve(ioas, [{ start, last }], ioas);
}

function replacePt(context: SimContext, frame: Frame): void {
  const stdev = find(context, frame.number('id'), 'selftest');
  const device = (stdev as Partial<MockStdev>).device ?? fail('ENOENT');
  frame.set('pt_id', attach(device, frame.number('pt_id'), QUIRKS));
}

/** Does the table map exactly that memory? */
function checkMap(context: SimContext, frame: Frame): void {
  const [iova, length] = [frame.wide('iova'), frame.wide('length')];
  const address = BigInt(frame.target('uptr')?.byteOffset ?? 0);
  if ([iova, length, address].some((each) => each % MOCK_PAGE !== 0n)) fail('EINVAL');
  const { ioas } = find(context, frame.number('id'), 'hwpt');
  if (length === 0n) return;
  let expected = address;
  for (const pages of mapped(ioas, iova, length)) {
    if (pages.address !== expected) fail('EINVAL');
    expected += pages.length;
  }
}

function mapped(ioas: Ioas, iova: bigint, length: bigint): ReturnType<typeof pagesOf> {
  try {
    return pagesOf(ioas, iova, length);
  } catch (error) {
    if (error instanceof SyscallError) return fail('EINVAL');
    throw error;
  }
}

/** A device wrote: each bit of the bitmap that falls on a mapped page. */
function markDirty(context: SimContext, frame: Frame): void {
  const [iova, length] = [frame.wide('iova'), frame.wide('length')];
  const pageSize = frame.wide('page_size') || fail('EINVAL');
  const bitmap = frame.target('uptr') ?? fail('EINVAL');
  if (length === 0n || iova % pageSize !== 0n || length % pageSize !== 0n) fail('EINVAL');
  const hwpt = find(context, frame.number('id'), 'hwpt');
  if (!hwpt.tracking) fail('EINVAL');
  let count = 0n;
  for (let bit = 0n; bit < length / pageSize; bit += 1n) {
    const at = iova + bit * pageSize;
    const set = ((bitmap[Number(bit >> 3n)] ?? 0) >> Number(bit & 7n)) & 1;
    if (set === 0 || !hwpt.ioas.maps.some((map) => map.start <= at && at <= map.last)) continue;
    hwpt.dirtyPages.add(at / pageSize);
    count += 1n;
  }
  frame.set('out_nr_dirty', count);
}

/** Shares page tables as AMD does: only dirty tracking keeps devices apart. */
function mockIommu(dirty: boolean): SimIommu {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setUint32(4, MOCK_HW_INFO_REGISTER, true);
  return {
    doc: { name: 'iommufd_selftest_iommu', type: 'amd' },
    addressWidth: 31,
    pageSize: MOCK_PAGE,
    aperture: MOCK_APERTURE,
    snoop: false,
    dirty,
    nesting: true,
    info: { type: MOCK_HW_INFO_TYPE, bytes },
    nestedData: MOCK_NESTED,
  };
}
