/** The ioctls of a context in the model: checks in the kernel's order, then the effect. Source: drivers/iommu/iommufd (v6.12). */
import { IOVA_LAST } from '../../base/iova.ts';
import {
  HW_CAP_DIRTY_TRACKING,
  HWPT_ALLOC_DIRTY_TRACKING,
  HWPT_ALLOC_NEST_PARENT,
  HWPT_DIRTY_TRACKING_ENABLE,
  HWPT_GET_DIRTY_BITMAP_NO_CLEAR,
  type IOMMUFD_OPS,
  OPTION_HUGE_PAGES,
  OPTION_OP_GET,
  OPTION_OP_SET,
  OPTION_RLIMIT_MODE,
} from '../uapi/iommufd.ts';
import type { Frame } from './frame.ts';
import {
  allocateHwpt,
  allocateNested,
  freeHwpt,
  readDirty,
  setTracking,
  type UserData,
} from './hwpt.ts';
import {
  alignmentOf,
  createIoas,
  PAGE_BYTES,
  setAllowed,
  setHugePages,
  usableRanges,
} from './ioas.ts';
import { mapPages, pagesOf, unmapRange } from './mappings.ts';
import {
  fail,
  find,
  type Hwpt,
  insert,
  newId,
  remove,
  type SimContext,
  type SimGroup,
} from './objects.ts';

/** Answers an ioctl on a context. */
export type IommufdHandler = (context: SimContext, frame: Frame) => void;

/** One handler for each row of the table. */
export const IOMMUFD_HANDLERS = {
  IOMMU_DESTROY: destroyObject,
  IOMMU_IOAS_ALLOC(context, frame) {
    if (frame.number('flags') !== 0) fail('EOPNOTSUPP');
    frame.set('out_ioas_id', createIoas(context).id);
  },
  IOMMU_IOAS_ALLOW_IOVAS(context, frame) {
    if (frame.number('__reserved') !== 0) fail('EOPNOTSUPP');
    const ioas = find(context, frame.number('ioas_id'), 'ioas');
    setAllowed(ioas, rangesIn(frame.target('allowed_iovas'), frame.number('num_iovas')));
  },
  IOMMU_IOAS_COPY: copyMapping,
  IOMMU_IOAS_IOVA_RANGES: reportRanges,
  IOMMU_IOAS_MAP: mapMemory,
  IOMMU_IOAS_UNMAP(context, frame) {
    const ioas = find(context, frame.number('ioas_id'), 'ioas');
    frame.set('length', unmapRange(ioas, frame.wide('iova'), frame.wide('length')));
  },
  IOMMU_OPTION: setOrGetOption,
  IOMMU_VFIO_IOAS() {
    fail('ENODEV');
  },
  IOMMU_HWPT_ALLOC: allocate,
  IOMMU_GET_HW_INFO(context, frame) {
    const { fields } = frame;
    if (fields['flags'] !== 0 || RESERVED.some((name) => fields[name] !== 0)) fail('EOPNOTSUPP');
    const { device } = find(context, frame.number('dev_id'), 'device');
    const iommu = device.group?.iommu ?? fail('EOPNOTSUPP');
    const { type, bytes } = iommu.info;
    const room = frame.number('data_len');
    const into = frame.target('data_uptr')?.subarray(0, room);
    if (room > 0 && into === undefined) fail('EFAULT');
    into?.fill(0).set(bytes.subarray(0, room));
    frame.set('data_len', bytes.length);
    frame.set('out_data_type', type);
    frame.set('out_max_pasid_log2', 0);
    frame.set('out_capabilities', iommu.dirty ? HW_CAP_DIRTY_TRACKING : 0n);
  },
  IOMMU_HWPT_SET_DIRTY_TRACKING(context, frame) {
    const flags = frame.number('flags');
    if ((flags & ~HWPT_DIRTY_TRACKING_ENABLE) !== 0) fail('EOPNOTSUPP');
    setTracking(find(context, frame.number('hwpt_id'), 'hwpt'), flags !== 0);
  },
  IOMMU_HWPT_GET_DIRTY_BITMAP(context, frame) {
    const flags = frame.number('flags');
    if ((flags & ~HWPT_GET_DIRTY_BITMAP_NO_CLEAR) !== 0 || frame.number('__reserved') !== 0) {
      fail('EOPNOTSUPP');
    }
    const hwpt = find(context, frame.number('hwpt_id'), 'hwpt');
    const request = {
      iova: frame.wide('iova'),
      length: frame.wide('length'),
      pageSize: frame.wide('page_size'),
      clear: flags === 0,
    };
    readDirty(hwpt, request, frame.target('data') ?? new Uint8Array(0));
  },
  IOMMU_HWPT_INVALIDATE: invalidate,
  IOMMU_FAULT_QUEUE_ALLOC(context, frame) {
    if (frame.number('flags') !== 0) fail('EOPNOTSUPP');
    const fault = insert(context, { type: 'fault', id: newId(context), open: true });
    frame.set('out_fault_id', fault.id);
  },
} satisfies Record<keyof typeof IOMMUFD_OPS, IommufdHandler>;

const MAP_FIXED = 1;
const MAP_WRITEABLE = 2;
const MAP_READABLE = 4;
const RESERVED = ['__reserved_0', '__reserved_1', '__reserved_2'];

function destroyObject(context: SimContext, frame: Frame): void {
  const id = frame.number('id');
  const object = context.objects.get(id) ?? fail('ENOENT');
  switch (object.type) {
    case 'ioas':
      if (object.hwpts.length > 0 || object.accesses.size > 0) fail('EBUSY');
      remove(context, id);
      return;
    case 'hwpt':
    case 'nested':
      if (object.users.size > 0) fail('EBUSY');
      freeHwpt(object);
      return;
    case 'selftest':
      object.destroy();
      remove(context, id);
      return;
    case 'fault':
      if (object.open) fail('EBUSY');
      remove(context, id);
      return;
    case 'device':
    case 'access':
      fail('EBUSY');
  }
}

function reportRanges(context: SimContext, frame: Frame): void {
  if (frame.number('__reserved') !== 0) fail('EOPNOTSUPP');
  const ioas = find(context, frame.number('ioas_id'), 'ioas');
  const ranges = usableRanges(ioas);
  const room = frame.number('num_iovas');
  const target = frame.target('allowed_iovas');
  ranges.slice(0, room).forEach(({ start, last }, index) => {
    const bytes = target ?? fail('EFAULT');
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    view.setBigUint64(index * 16, start, true);
    view.setBigUint64(index * 16 + 8, last, true);
  });
  frame.set('num_iovas', ranges.length);
  frame.set('out_iova_alignment', alignmentOf(ioas));
  if (ranges.length > room) fail('EMSGSIZE');
}

function rangesIn(
  bytes: Uint8Array | null,
  count: number,
): readonly { readonly start: bigint; readonly last: bigint }[] {
  if (count === 0) return [];
  if (bytes === null || bytes.length < count * 16) return fail('EFAULT');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: count }, (_, index) => ({
    start: view.getBigUint64(index * 16, true),
    last: view.getBigUint64(index * 16 + 8, true),
  }));
}

function setOrGetOption(context: SimContext, frame: Frame): void {
  if (frame.number('__reserved') !== 0) fail('EOPNOTSUPP');
  const option = frame.number('option_id');
  if (option === OPTION_RLIMIT_MODE) rlimitMode(context, frame);
  else if (option === OPTION_HUGE_PAGES) hugePages(context, frame);
  else fail('EOPNOTSUPP');
}

function rlimitMode(context: SimContext, frame: Frame): void {
  if (frame.number('object_id') !== 0) fail('EOPNOTSUPP');
  if (frame.number('op') === OPTION_OP_GET) {
    frame.set('val64', context.perProcessAccounting ? 1n : 0n);
    return;
  }
  if (frame.number('op') !== OPTION_OP_SET) fail('EOPNOTSUPP');
  if (context.objects.size > 0) fail('EBUSY');
  if (frame.wide('val64') > 1n) fail('EINVAL');
  context.perProcessAccounting = frame.wide('val64') === 1n;
}

function hugePages(context: SimContext, frame: Frame): void {
  const ioas = find(context, frame.number('object_id'), 'ioas');
  const op = frame.number('op');
  if (op === OPTION_OP_GET) frame.set('val64', ioas.hugePages ? 1n : 0n);
  else if (op === OPTION_OP_SET) setHugePages(ioas, frame.wide('val64'));
  else fail('EOPNOTSUPP');
}

const FAULT_ID_VALID = 4;

function allocate(context: SimContext, frame: Frame): void {
  const flags = frame.number('flags');
  const data = {
    type: frame.number('data_type'),
    lengthBytes: frame.number('data_len'),
    bytes: frame.target('data_uptr'),
  };
  if (frame.number('__reserved') !== 0) fail('EOPNOTSUPP');
  if ((data.type === 0) !== (data.lengthBytes === 0)) fail('EINVAL');
  const { device } = find(context, frame.number('dev_id'), 'device');
  const group = device.group ?? fail('ENODEV');
  const target = context.objects.get(frame.number('pt_id'));
  if (target?.type === 'hwpt') {
    frame.set('out_hwpt_id', nestedAbove(context, target, group, data, frame));
    return;
  }
  const ioas = target?.type === 'ioas' ? target : fail('EINVAL');
  const known = HWPT_ALLOC_NEST_PARENT | HWPT_ALLOC_DIRTY_TRACKING;
  const dirty = (flags & HWPT_ALLOC_DIRTY_TRACKING) !== 0;
  const nestParent = (flags & HWPT_ALLOC_NEST_PARENT) !== 0;
  if ((flags & ~known) !== 0 || data.type !== 0) fail('EOPNOTSUPP');
  frame.set('out_hwpt_id', allocateHwpt(ioas, group, { dirty, nestParent, auto: false }).id);
}

/** The only flag of a nested HWPT names a fault queue, which must be there. */
function nestedAbove(
  context: SimContext,
  parent: Hwpt,
  group: SimGroup,
  data: UserData,
  frame: Frame,
): number {
  const flags = frame.number('flags');
  if ((flags & ~FAULT_ID_VALID) !== 0) fail('EOPNOTSUPP');
  const nested = allocateNested(context, parent, group.iommu ?? fail('ENODEV'), data);
  if (flags !== 0 && context.objects.get(frame.number('fault_id'))?.type !== 'fault') {
    freeHwpt(nested);
    fail('ENOENT');
  }
  return nested.id;
}

/** 6.12 knows only nested HWPTs here. Also where it refuses it says how many entries it did: none. */
function invalidate(context: SimContext, frame: Frame): void {
  const entries = frame.number('entry_num');
  frame.set('entry_num', 0);
  if (frame.number('__reserved') !== 0) fail('EOPNOTSUPP');
  if (entries > 0 && (frame.target('data_uptr') === null || frame.number('entry_len') === 0)) {
    fail('EINVAL');
  }
  const { iommu } = find(context, frame.number('hwpt_id'), 'nested');
  if (frame.number('data_type') !== iommu.nestedData?.invalidation) fail('EINVAL');
  frame.set('entry_num', entries);
}

const ACCESS_FLAGS = MAP_WRITEABLE | MAP_READABLE;

function checkMapFlags(flags: number, reserved: number): void {
  if ((flags & ~(MAP_FIXED | ACCESS_FLAGS)) !== 0 || reserved !== 0) fail('EOPNOTSUPP');
}

function mapMemory(context: SimContext, frame: Frame): void {
  const flags = frame.number('flags');
  const [iova, length] = [frame.wide('iova'), frame.wide('length')];
  checkMapFlags(flags, frame.number('__reserved'));
  if (iova === IOVA_LAST || length === IOVA_LAST) fail('EOVERFLOW');
  if ((flags & ACCESS_FLAGS) === 0) fail('EINVAL');
  const ioas = find(context, frame.number('ioas_id'), 'ioas');
  // Rounded up to pages it would wrap. Source: iopt_alloc_pages.
  if (length > IOVA_LAST - PAGE_BYTES) fail('EINVAL');
  const memory = frame.target('user_va');
  // Where memory begins in its buffer stands for its address: only what is left of a page counts.
  const address = memory === null ? null : BigInt(memory.byteOffset);
  const writable = (flags & MAP_WRITEABLE) !== 0;
  const pages = [{ length, address, writable }];
  const at = (flags & MAP_FIXED) === 0 ? null : iova;
  frame.set('iova', mapPages(ioas, { iova: at, pages, writable }));
}

function copyMapping(context: SimContext, frame: Frame): void {
  const flags = frame.number('flags');
  const [from, to] = [frame.wide('src_iova'), frame.wide('dst_iova')];
  const length = frame.wide('length');
  checkMapFlags(flags, 0);
  if ([from, to, length].includes(IOVA_LAST)) fail('EOVERFLOW');
  if ((flags & ACCESS_FLAGS) === 0) fail('EINVAL');
  const pages = pagesOf(find(context, frame.number('src_ioas_id'), 'ioas'), from, length);
  const target = find(context, frame.number('dst_ioas_id'), 'ioas');
  const writable = (flags & MAP_WRITEABLE) !== 0;
  const at = (flags & MAP_FIXED) === 0 ? null : to;
  frame.set('dst_iova', mapPages(target, { iova: at, pages, writable }));
}
