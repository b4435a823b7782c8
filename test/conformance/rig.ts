/** What every conformance case works with: a target, a fresh context, and files that are closed afterwards. */
import { afterEach, beforeEach } from 'vitest';
import type { DevId, HwptId, IoasId } from '../../src/base/ids.ts';
import { allocHwpt, openIommufd } from '../../src/kernel/iommufd.ts';
import type { Fd, Syscalls } from '../../src/kernel/port.ts';
import { bindIommufd, openDevice } from '../../src/kernel/vfio.ts';
import { Recorder } from './recorder.ts';

/** The devices that a target offers, as names of their device files. */
export interface Target {
  readonly syscalls: Syscalls;
  /** Two PCI functions, each alone in its group. */
  readonly single: readonly [string, string] | null;
  /** Two PCI functions of one group. */
  readonly mates: readonly [string, string] | null;
  readonly mdev: string | null;
  /** Opens an eventfd that somebody listens to. */
  readonly openSignalLine?: (onSignal: () => void) => { readonly fd: Fd; close(): void };
  /** Is the IOMMU of the devices able to track dirty pages. */
  readonly tracks: boolean;
  /** Memory at a page boundary, for mappings. */
  readonly memory: Uint8Array;
  /** Makes a device of the context, where devices are not opened but made. */
  readonly plug?: (iommufd: Fd) => DevId;
  /** Lets somebody open the legacy file of a device's group; returns how to close it. */
  readonly holdGroup?: (cdev: string) => () => Promise<void>;
}

/** The errno of a refusal, or `ok`. */
export async function answerOf(work: () => unknown): Promise<string> {
  try {
    await work();
    return 'ok';
  } catch (error) {
    const { errno } = error as { errno?: unknown };
    if (typeof errno === 'string') return errno;
    throw error;
  }
}

/** An id that no context has. */
export const GONE = 1000 as never;

/** Hands for the cases. */
export interface Rig {
  readonly name: string;
  readonly target: Target;
  /** The target's, watched. */
  readonly syscalls: Syscalls;
  /** What the cases have provoked so far, as `IOCTL ERRNO`. */
  readonly seen: ReadonlySet<string>;
  /** The context of the case that runs. */
  readonly iommufd: Fd;
  /** Closes the file after the case. */
  keep(fd: Fd): Fd;
  /** An eventfd, and how often it was heard. It is closed after the case. */
  signal(): { readonly fd: Fd; heard(): number };
  /** Some device of the context, of whatever kind the target has. */
  device(): Promise<DevId>;
  bound(cdev: string, context?: Fd): Promise<{ fd: Fd; devId: DevId }>;
  hwptOf(devId: DevId, ptId: IoasId, flags?: number): Promise<HwptId>;
}

/** A rig on a target; it declares what happens before and after each case. */
export function rigOn(name: string, target: Target): Rig {
  const recorder = new Recorder();
  const syscalls = recorder.around(target.syscalls);
  let files: Fd[] = [];
  let lines: { close(): void }[] = [];
  let iommufd: Fd;
  const keep = (fd: Fd): Fd => {
    files.push(fd);
    return fd;
  };
  beforeEach(() => {
    files = [];
    lines = [];
    iommufd = keep(openIommufd(syscalls));
  });
  afterEach(async () => {
    for (const fd of files.reverse()) await syscalls.slow.close(fd);
    for (const line of lines) line.close();
  });
  const bound = async (cdev: string, context = iommufd): Promise<{ fd: Fd; devId: DevId }> => {
    const fd = keep(openDevice(syscalls, cdev));
    return { fd, devId: await bindIommufd(syscalls, fd, context) };
  };
  return {
    name,
    target,
    syscalls,
    seen: recorder.seen,
    keep,
    get iommufd() {
      return iommufd;
    },
    signal() {
      let heard = 0;
      const line = target.openSignalLine?.(() => {
        heard += 1;
      });
      if (line === undefined) throw new Error('the target has no eventfds');
      lines.push(line);
      return { fd: line.fd, heard: () => heard };
    },
    bound,
    async device() {
      if (target.plug !== undefined) return target.plug(iommufd);
      return (await bound(target.single?.[0] ?? '')).devId;
    },
    hwptOf: (devId, ptId, flags = 0) => allocHwpt(syscalls, iommufd, { devId, ptId, flags }),
  };
}
