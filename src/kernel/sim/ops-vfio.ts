/** The ioctls of a device file in the model. Source: drivers/vfio/vfio_main.c, device_cdev.c, pci/vfio_pci_core.c (v6.12). */

import type { TrackingDocument } from '../../spec/types.generated.ts';
import type { Fd } from '../port.ts';
import {
  FEATURE_GET,
  FEATURE_MIGRATION,
  FEATURE_PROBE,
  IRQ_ACTION_TRIGGER,
  IRQ_DATA_BOOL,
  IRQ_DATA_EVENTFD,
  IRQ_DATA_NONE,
  PCI_CONFIG_REGION_INDEX,
  PCI_REQ_IRQ_INDEX,
  type VFIO_OPS,
} from '../uapi/vfio.ts';
import { attach, bind, detach, type Quirks } from './device.ts';
import type { Frame } from './frame.ts';
import { fail, type SignalFile, type SimContext, type SimDevice } from './objects.ts';

/** What a handler knows beyond the request. */
export interface DeviceCall {
  readonly device: SimDevice;
  readonly fd: Fd;
  readonly quirks: Quirks;
  /** The context of an iommufd file; EBADF and EBADFD where the number is none. */
  contextOf(fd: number): SimContext;
  /** An eventfd; EBADF and EINVAL where the number is none. */
  signalOf(fd: number): SignalFile;
}

/** Answers an ioctl on a device file. */
export type VfioHandler = (call: DeviceCall, frame: Frame) => void;

/** Regions of a PCI device: BARs, ROM, configuration space, VGA. */
const REGIONS = 9;
/** Where region n begins in the device file. Source: drivers/vfio/pci/vfio_pci_priv.h, VFIO_PCI_OFFSET_SHIFT. */
const REGION_SHIFT = 40n;
const REGION_READ = 1;
const REGION_WRITE = 2;
const PCI_CONFIG_BYTES = 256n;

/** Offset of the PCI command register in the device file. */
export const COMMAND_OFFSET = (BigInt(PCI_CONFIG_REGION_INDEX) << REGION_SHIFT) + 4n;

const FEATURE_MASK = 0xffff;
const FEATURE_SET = 0x20000;

/** One handler for each row of the table. */
export const VFIO_HANDLERS = {
  VFIO_DEVICE_GET_INFO({ device }, frame) {
    frame.set('flags', (canReset(device) ? 1 : 0) | 2);
    frame.set('num_regions', 9);
    frame.set('num_irqs', 5);
  },
  VFIO_DEVICE_GET_REGION_INFO({ device }, frame) {
    const index = frame.number('index');
    if (index >= REGIONS) fail('EINVAL');
    const isConfig = index === PCI_CONFIG_REGION_INDEX;
    frame.set('flags', isConfig ? REGION_READ | REGION_WRITE : 0);
    frame.set('size', isConfig && device.pci !== null ? PCI_CONFIG_BYTES : 0n);
    frame.set('offset', BigInt(index) << REGION_SHIFT);
  },
  VFIO_DEVICE_SET_IRQS: setIrqs,
  VFIO_DEVICE_RESET({ device }) {
    if (device.pci !== null && !canReset(device)) fail('EINVAL');
  },
  VFIO_DEVICE_GET_PCI_HOT_RESET_INFO({ device }, frame) {
    if (device.devSet === device.key) fail('ENODEV');
    frame.set('count', 1);
    if (frame.tail.length < 8) fail('ENOSPC');
  },
  VFIO_DEVICE_PCI_HOT_RESET() {
    fail('EINVAL');
  },
  VFIO_DEVICE_FEATURE: feature,
  VFIO_DEVICE_BIND_IOMMUFD({ device, fd, quirks, contextOf }, frame) {
    if (frame.number('flags') !== 0 || frame.number('iommufd') < 0) fail('EINVAL');
    if (device.group !== null && device.group.holders.length > 0) fail('EBUSY');
    if (device.bound?.fd === fd) fail('EINVAL');
    const context = contextOf(frame.number('iommufd'));
    frame.set('out_devid', bind(device, fd, context, quirks));
  },
  VFIO_DEVICE_ATTACH_IOMMUFD_PT({ device, quirks }, frame) {
    if (frame.number('flags') !== 0) fail('EINVAL');
    frame.set('pt_id', attach(device, frame.number('pt_id'), quirks));
  },
  VFIO_DEVICE_DETACH_IOMMUFD_PT({ device }, frame) {
    if (frame.number('flags') !== 0) fail('EINVAL');
    detach(device);
  },
} satisfies Record<keyof typeof VFIO_OPS, VfioHandler>;

const IRQ_FLAGS = 0x3f;
const IRQ_ACTIONS = 0x38;
const IRQ_DATA = 0x07;
/** INTx, MSI, MSI-X, error, request. */
const IRQ_INDEXES = 5;
const IRQ_DATA_BYTES: Readonly<Record<number, number>> = {
  [IRQ_DATA_NONE]: 0,
  [IRQ_DATA_BOOL]: 1,
  [IRQ_DATA_EVENTFD]: 4,
};

/** Source: vfio_set_irqs_validate_and_prepare, vfio_pci_set_req_trigger. Of the interrupts only the request is modelled. */
function setIrqs({ device, signalOf }: DeviceCall, frame: Frame): void {
  const [flags, index] = [frame.number('flags'), frame.number('index')];
  const [start, count] = [frame.number('start'), frame.number('count')];
  if (index >= IRQ_INDEXES || (flags & ~IRQ_FLAGS) !== 0) fail('EINVAL');
  if (device.mdev !== null || index !== PCI_REQ_IRQ_INDEX) return;
  if (start !== 0 || count > 1) fail('EINVAL');
  const bytes = IRQ_DATA_BYTES[flags & IRQ_DATA] ?? fail('EINVAL');
  if (frame.number('argsz') - frame.op.struct.size < count * bytes) fail('EINVAL');
  if ((flags & IRQ_ACTIONS) !== IRQ_ACTION_TRIGGER) fail('ENOTTY');
  setRequest(device, { flags, count, tail: frame.tail, signalOf });
}

interface RequestData {
  readonly flags: number;
  readonly count: number;
  readonly tail: Uint8Array;
  signalOf(fd: number): SignalFile;
}

/** Without data, or with a byte, the interrupt is tried out. Source: vfio_pci_set_ctx_trigger_single. */
function setRequest(device: SimDevice, { flags, count, tail, signalOf }: RequestData): void {
  const data = new DataView(tail.buffer, tail.byteOffset, tail.byteLength);
  switch (flags & IRQ_DATA) {
    case IRQ_DATA_NONE:
      if (device.request === null) fail('EINVAL');
      if (count > 0) device.request.onSignal();
      else device.request = null;
      return;
    case IRQ_DATA_BOOL:
      if (count === 0) fail('EINVAL');
      if (data.getUint8(0) !== 0) device.request?.onSignal();
      return;
    default: {
      const fd = data.getInt32(0, true);
      if (count === 0 || fd < -1) fail('EINVAL');
      device.request = fd === -1 ? null : signalOf(fd);
    }
  }
}

const MIGRATION_BITS: Readonly<Record<string, bigint>> = {
  'stop-copy': 1n,
  p2p: 2n,
  'pre-copy': 4n,
};

/**
 * Did the reset at open work? The reset of a bus that others are on does not, although sysfs may list
 * it: it was found when the first function had the bus to itself. Source: pci_parent_bus_reset (v6.12).
 */
function canReset(device: SimDevice): boolean {
  const methods = device.pci?.reset?.split(' ') ?? [];
  const alone = !device.group?.members.some(
    (mate) => mate !== device && mate.devSet === device.devSet,
  );
  return methods.some((method) => method !== 'bus' || alone);
}

/** A feature: the verbs that it knows, the bytes of its data, and what a device needs to have it. */
interface FeatureRow {
  readonly verbs: number;
  readonly dataBytes: number;
  readonly of: 'migration' | 'logging' | 'pci';
}

/** Source: struct vfio_device_feature_* in include/uapi/linux/vfio.h; vfio_pci_core_ioctl_feature for low power. */
const FEATURES: Readonly<Record<number, FeatureRow>> = {
  1: { verbs: FEATURE_GET, dataBytes: 8, of: 'migration' },
  2: { verbs: FEATURE_GET | FEATURE_SET, dataBytes: 8, of: 'migration' },
  3: { verbs: FEATURE_SET, dataBytes: 0, of: 'pci' },
  4: { verbs: FEATURE_SET, dataBytes: 8, of: 'pci' },
  5: { verbs: FEATURE_SET, dataBytes: 0, of: 'pci' },
  6: { verbs: FEATURE_SET, dataBytes: 24, of: 'logging' },
  7: { verbs: FEATURE_SET, dataBytes: 0, of: 'logging' },
  8: { verbs: FEATURE_GET, dataBytes: 32, of: 'logging' },
  9: { verbs: FEATURE_GET, dataBytes: 8, of: 'migration' },
};

const VERBS = FEATURE_GET | FEATURE_SET;

function feature({ device }: DeviceCall, frame: Frame): void {
  const flags = frame.number('flags');
  const asked = flags & VERBS;
  const isProbe = (flags & FEATURE_PROBE) !== 0;
  if ((flags & ~(FEATURE_MASK | VERBS | FEATURE_PROBE)) !== 0) fail('EINVAL');
  if (asked === VERBS && !isProbe) fail('EINVAL');
  const row = FEATURES[flags & FEATURE_MASK] ?? fail('ENOTTY');
  if (!offers(device, row.of)) fail('ENOTTY');
  if ((asked & ~row.verbs) !== 0) fail('EINVAL');
  if (isProbe) return;
  if (asked === 0 || frame.tail.length < row.dataBytes) fail('EINVAL');
  if ((flags & FEATURE_MASK) !== FEATURE_MIGRATION) return;
  const migration = trackingOf(device)?.migration ?? [];
  const bits = migration.reduce((sum, word) => sum | (MIGRATION_BITS[word] ?? 0n), 0n);
  new DataView(frame.tail.buffer, frame.tail.byteOffset, 8).setBigUint64(0, bits, true);
}

function trackingOf(device: SimDevice): TrackingDocument | undefined {
  return device.pci?.tracking ?? device.mdev?.tracking;
}

function offers(device: SimDevice, what: FeatureRow['of']): boolean {
  switch (what) {
    case 'migration':
      return (trackingOf(device)?.migration?.length ?? 0) > 0;
    case 'logging':
      return trackingOf(device)?.device === true;
    case 'pci':
      return device.pci !== null;
  }
}
