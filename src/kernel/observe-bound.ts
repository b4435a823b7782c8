/** What the contexts and devices that we hold answer: probes of ids, and what a bound device can track. */
import { compareText, type DeviceKey, isBdf } from '../base/ids.ts';
import type {
  Device,
  DeviceTracking,
  HeldContext,
  HeldDevice,
  KnownFacts,
  ObservedContext,
  StuckCall,
} from '../graph/types.ts';
import { KernelError } from './call.ts';
import type { BoundFacts, ObservationCache } from './observe-cache.ts';
import type { Fd, Syscalls } from './port.ts';
import { hwInfoOf, probeContext } from './probe.ts';
import { FEATURE_DMA_LOGGING_START, FEATURE_MIGRATION } from './uapi/vfio.ts';
import { hasFeature, readFeature } from './vfio.ts';

/** What is asked of whom. */
export interface BoundOptions {
  readonly held: readonly HeldContext[];
  readonly known: KnownFacts;
  readonly stuck: readonly StuckCall[];
}

/** The answers: of each context, and what each device can track, beside what is known of others. */
export interface BoundAnswers {
  readonly contexts: readonly ObservedContext[];
  readonly tracking: ReadonlyMap<DeviceKey, DeviceTracking>;
}

/**
 * Asks. A bound device is asked once: its object lives, and its driver stays, until its file is closed.
 * A context with a stuck call is not asked at all, because the answer may wait for a lock that the call has.
 */
export function askBound(
  syscalls: Syscalls,
  devices: readonly Device[],
  cache: ObservationCache,
  { held, known, stuck }: BoundOptions,
): BoundAnswers {
  const tracking = new Map(known.tracking);
  const silent = new Set(stuck.map(({ context }) => context));
  const driverOf = new Map(devices.map(({ key, driver }) => [key, driver]));
  const bound = new Map<DeviceKey, BoundFacts>();
  const contexts = held.map((context): ObservedContext => {
    const isSilent = silent.has(context.name);
    const answers = context.devices.flatMap((device): (readonly [HeldDevice, BoundFacts])[] => {
      const driver = driverOf.get(device.key) ?? null;
      const before = cache.bound.get(device.key) ?? null;
      const now = isSilent ? before : remembered(syscalls, context, device, driver, before);
      return now === null ? [] : [[device, now]];
    });
    for (const [device, facts] of answers) {
      tracking.set(device.key, facts.tracking);
      if (isWhole(device, facts)) bound.set(device.key, facts);
    }
    const hwInfo = answers.flatMap(([{ key }, facts]) =>
      facts.hwInfo === null ? [] : [{ key, dirtyTracking: facts.hwInfo }],
    );
    if (isSilent) return { held: context, probed: [], hwInfo };
    const answered = new Set(hwInfo.map(({ key }) => key));
    return { held: context, probed: probeContext(syscalls, context, answered), hwInfo };
  });
  cache.replaceBound(bound);
  return { contexts, tracking };
}

/** What was answered before, where the same files are still bound under the same driver; else the answer now. */
function remembered(
  syscalls: Syscalls,
  context: HeldContext,
  device: HeldDevice,
  driver: string | null,
  before: BoundFacts | null,
): BoundFacts {
  const holds =
    before !== null &&
    before.iommufd === context.fd &&
    before.fd === device.fd &&
    before.devId === device.devId &&
    before.driver === driver;
  return holds ? before : ask(syscalls, context, device, driver);
}

/** A refusal may pass, so it is not kept: an mdev has no IOMMU to ask, but every device tells what it tracks. */
function isWhole({ key }: HeldDevice, { tracking, hwInfo }: BoundFacts): boolean {
  return tracking.device !== 'unknown' && (hwInfo !== null || !isBdf(key));
}

function ask(
  syscalls: Syscalls,
  context: HeldContext,
  { fd, devId }: HeldDevice,
  driver: string | null,
): BoundFacts {
  return {
    iommufd: context.fd,
    fd,
    devId,
    driver,
    tracking: trackingOf(syscalls, fd as Fd),
    hwInfo: hwInfoOf(syscalls, context.fd as Fd, devId),
  };
}

const MIGRATION_FLAGS = ['stop-copy', 'p2p', 'pre-copy'] as const;

/** A driver that answers a probe with anything but yes or ENOTTY leaves it unknown. */
function trackingOf(syscalls: Syscalls, fd: Fd): DeviceTracking {
  try {
    const logs = hasFeature(syscalls, fd, FEATURE_DMA_LOGGING_START);
    const bits = hasFeature(syscalls, fd, FEATURE_MIGRATION)
      ? readFeature(syscalls, fd, FEATURE_MIGRATION)
      : 0n;
    const migration = MIGRATION_FLAGS.filter((_, bit) => ((bits >> BigInt(bit)) & 1n) === 1n);
    return { device: logs ? 'yes' : 'no', migration: migration.toSorted(compareText) };
  } catch (error) {
    if (error instanceof KernelError) return { device: 'unknown', migration: null };
    throw error;
  }
}
