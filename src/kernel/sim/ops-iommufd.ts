/** The ioctls of a context in the model: checks in the kernel's order, then the effect. Source: drivers/iommu/iommufd (v6.12). */
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
import { allocateHwpt, freeHwpt, readDirty, setTracking } from './hwpt.ts';
import {
  alignmentOf,
  createIoas,
  mapRange,
  setAllowed,
  setHugePages,
  unmapRange,
  usableRanges,
} from './ioas.ts';
import { fail, find, insert, newId, remove, type SimContext, type SimDevice } from './objects.ts';

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
  IOMMU_IOAS_COPY(context, frame) {
    const from = find(context, frame.number('src_ioas_id'), 'ioas');
    const to = find(context, frame.number('dst_ioas_id'), 'ioas');
    const start = frame.wide('src_iova');
    const length = frame.wide('length');
    const covered = from.maps.some((map) => map.start <= start && start + length - 1n <= map.last);
    if (!covered) fail('ENOENT');
    const fixed = (frame.number('flags') & MAP_FIXED) !== 0;
    const writable = (frame.number('flags') & MAP_WRITEABLE) !== 0;
    const iova = fixed ? frame.wide('dst_iova') : null;
    frame.set('dst_iova', mapRange(to, { iova, length, writable }));
  },
  IOMMU_IOAS_IOVA_RANGES: reportRanges,
  IOMMU_IOAS_MAP(context, frame) {
    const flags = frame.number('flags');
    const known = MAP_FIXED | MAP_WRITEABLE | MAP_READABLE;
    if ((flags & ~known) !== 0 || frame.number('__reserved') !== 0) fail('EOPNOTSUPP');
    const ioas = find(context, frame.number('ioas_id'), 'ioas');
    if ((flags & (MAP_WRITEABLE | MAP_READABLE)) === 0) fail('EINVAL');
    const iova = (flags & MAP_FIXED) === 0 ? null : frame.wide('iova');
    const writable = (flags & MAP_WRITEABLE) !== 0;
    frame.set('iova', mapRange(ioas, { iova, length: frame.wide('length'), writable }));
  },
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
    frame.set('data_len', iommu.doc.type === 'intel' ? 24 : 0);
    frame.set('out_data_type', iommu.doc.type === 'intel' ? 1 : 0);
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
  /** 6.12 knows only nested HWPTs here, and the model has none. */
  IOMMU_HWPT_INVALIDATE() {
    fail('ENOENT');
  },
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
      if (object.users.size > 0) fail('EBUSY');
      freeHwpt(object);
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
  const dataType = frame.number('data_type');
  const dataLength = frame.number('data_len');
  if (frame.number('__reserved') !== 0) fail('EOPNOTSUPP');
  if ((dataType === 0) !== (dataLength === 0)) fail('EINVAL');
  const { device } = find(context, frame.number('dev_id'), 'device');
  const target = context.objects.get(frame.number('pt_id'));
  if (target?.type === 'hwpt') {
    allocateNested(target.nestParent, target.auto, flags, dataLength);
  }
  const ioas = target?.type === 'ioas' ? target : fail('EINVAL');
  const known = HWPT_ALLOC_NEST_PARENT | HWPT_ALLOC_DIRTY_TRACKING;
  const dirty = (flags & HWPT_ALLOC_DIRTY_TRACKING) !== 0;
  const nestParent = (flags & HWPT_ALLOC_NEST_PARENT) !== 0;
  if ((flags & ~known) !== 0 || (flags & FAULT_ID_VALID) !== 0 || dataType !== 0)
    fail('EOPNOTSUPP');
  frame.set('out_hwpt_id', hwptFor(device, ioas, { dirty, nestParent, auto: false }));
}

function hwptFor(
  device: SimDevice,
  ioas: Parameters<typeof allocateHwpt>[0],
  wish: Parameters<typeof allocateHwpt>[2],
): number {
  return allocateHwpt(ioas, device.group ?? fail('ENODEV'), wish).id;
}

/** The refusals that come before a driver is asked; the model has no driver that would take the data. */
function allocateNested(
  nestParent: boolean,
  auto: boolean,
  flags: number,
  dataLength: number,
): never {
  if ((flags & ~FAULT_ID_VALID) !== 0 || dataLength === 0) fail('EOPNOTSUPP');
  if (auto || !nestParent) fail('EINVAL');
  return fail('EOPNOTSUPP');
}
