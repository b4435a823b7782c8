/** The host that a verb works on: a model from `--host FILE`, or the running kernel. Never one instead of the other. */
import type { Clock } from '../base/clock.ts';
import { AutodomainError } from '../base/errors.ts';
import { CallWatch, halfOfPool } from '../engine/calls.ts';
import type { ManagedHost } from '../engine/host.ts';
import { MemoryJournal } from '../engine/journal.ts';
import { ObservationCache } from '../kernel/observe-cache.ts';
import { SyscallError, type Syscalls } from '../kernel/port.ts';
import { traced } from '../kernel/trace.ts';
import type { HostDocument } from '../spec/types.generated.ts';
import { loadHost } from './inputs.ts';
import type { Io } from './io.ts';
import { setExit } from './leave.ts';
import { simulatedClock } from './simulated-clock.ts';
import { systemClock } from './system-clock.ts';

/** Options that every verb with a host has. */
export interface HostOptions {
  readonly host?: string;
  readonly hostName?: string;
  readonly trace?: boolean;
}

/** A host with what it was made from. */
export interface OpenedHost extends ManagedHost {
  readonly calls: CallWatch;
  readonly cache: ObservationCache;
  /** The document of a model; null for the running kernel. */
  readonly document: HostDocument | null;
}

/** Opens the host that the options name. On the running kernel, where iommufd is needed, its absence is 69 and a missing right 77. */
export async function openHost(
  options: HostOptions,
  io: Io,
  needs: 'iommufd' | 'sysfs' = 'iommufd',
): Promise<OpenedHost> {
  if (options.host !== undefined) return openModel(options.host, options, io);
  const kernel = await openKernel(options, io);
  if (needs === 'iommufd') await requireIommufd(kernel.syscalls);
  return kernel;
}

async function openModel(path: string, options: HostOptions, io: Io): Promise<OpenedHost> {
  const { Machine } = await import('../kernel/sim/machine.ts');
  const document = await loadHost(path, io);
  const clock = simulatedClock();
  const machine = new Machine(document, { clock });
  return {
    syscalls: traceIf(options, machine.syscalls, clock, io),
    journal: new MemoryJournal(machine.held),
    known: machine.known,
    // A model has no pool: only --parallel bounds what is in it.
    calls: new CallWatch(clock, Number.MAX_SAFE_INTEGER),
    cache: new ObservationCache(clock),
    clock,
    hostName: options.hostName ?? document.metadata.name,
    ownPid: SIMULATED_PID,
    document,
  };
}

/** No process of a Host file has this pid: 0 is the kernel's. */
const SIMULATED_PID = 0;

async function openKernel(options: HostOptions, io: Io): Promise<OpenedHost> {
  const { nativeSyscalls } = await import('../kernel/native/syscalls.ts');
  const { exitNow } = await import('../kernel/native/libc.ts');
  setExit(exitNow);
  const clock = systemClock();
  const native = nativeSyscalls();
  return {
    syscalls: traceIf(options, native, clock, io),
    journal: new MemoryJournal(),
    known: { iommus: new Map(), tracking: new Map() },
    calls: new CallWatch(clock, halfOfPool(io.env)),
    cache: new ObservationCache(clock),
    clock,
    hostName: options.hostName ?? null,
    ownPid: io.pid,
    document: null,
  };
}

/** Opens /dev/iommu once and closes it: the only sure way to know. It makes an empty context, which touches nothing. */
async function requireIommufd(syscalls: Syscalls): Promise<void> {
  try {
    await syscalls.slow.close(syscalls.open('/dev/iommu'));
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    if (error.errno === 'EACCES' || error.errno === 'EPERM') {
      throw new AutodomainError('no-permission', '/dev/iommu cannot be opened', {
        cause: error,
        remedy: 'run as root, or give this user read and write access to it',
      });
    }
    throw new AutodomainError('unavailable', 'this kernel has no /dev/iommu', {
      cause: error,
      remedy:
        'use a kernel with CONFIG_IOMMUFD (Debian leaves it out, Fedora and Ubuntu have it) and load the module iommufd',
    });
  }
}

function traceIf(options: HostOptions, syscalls: Syscalls, clock: Clock, io: Io): Syscalls {
  if (!options.trace) return syscalls;
  return traced(syscalls, clock, (line) => io.stderr(`trace: ${line}\n`));
}
