/**
 * Is this kernel and this host fit, and what to do about it where not: everything that would
 * otherwise show only when a plan is applied. Reads, and opens /dev/iommu once; writes nothing.
 */

import { holdingsOf } from '../graph/query.ts';
import type { Graph, Iommu, PciDevice } from '../graph/types.ts';
import { SyscallError, type Syscalls } from '../kernel/port.ts';
import { explainBlocker } from '../plan/blockers.ts';
import { planHost } from '../plan/planner.ts';
import { formatHolders, listOf } from '../plan/text.ts';
import type { Config } from '../spec/config.ts';

/** One thing that was looked at. `fail`: devices cannot be used. `warn`: they can, but read this. */
export interface Finding {
  readonly check: string;
  readonly status: 'ok' | 'warn' | 'fail';
  readonly text: string;
  /** What to do; null where there is nothing to do. */
  readonly remedy: string | null;
}

/** Looks at everything. */
export async function examine(syscalls: Syscalls, graph: Graph): Promise<readonly Finding[]> {
  return [
    await iommufdFinding(syscalls),
    ...featureFindings(graph),
    ...iommuFindings(graph),
    noIommuFinding(graph),
    acsFinding(readOr(syscalls, '/proc/cmdline', '')),
    memlockFinding(readOr(syscalls, '/proc/self/limits', '')),
    ...holderFindings(graph),
    ...resetFindings(graph),
    ...regionFindings(graph),
    ...graph.unreadable.map(({ what, errno }) =>
      warn('readable', `${what} could not be read (${errno})`, 'run as root to see everything'),
    ),
  ];
}

/** What a config would meet on this host: its blockers, and the drivers that it would bind. */
export function examineConfig(config: Config, graph: Graph): readonly Finding[] {
  const { blocked, steps } = planHost(config, graph);
  return [
    ...blocked.map((blocker) => {
      const { text, remedy } = explainBlocker(blocker);
      return bad(blocker.kind, `${blocker.container}: ${text}`, remedy);
    }),
    ...steps.flatMap((step) => {
      if (step.kind !== 'bind-driver') return [];
      const { device, driver } = step.args;
      return [
        ok(
          'driverless',
          `${step.container}: ${device} has no driver and will be bound to ${driver}`,
        ),
      ];
    }),
  ];
}

/** True where nothing failed. */
export function isFit(findings: readonly Finding[]): boolean {
  return findings.every((finding) => finding.status !== 'fail');
}

function ok(check: string, text: string): Finding {
  return { check, status: 'ok', text, remedy: null };
}

function warn(check: string, text: string, remedy: string): Finding {
  return { check, status: 'warn', text, remedy };
}

function bad(check: string, text: string, remedy: string): Finding {
  return { check, status: 'fail', text, remedy };
}

function readOr(syscalls: Syscalls, path: string, otherwise: string): string {
  try {
    return syscalls.readText(path);
  } catch (error) {
    if (error instanceof SyscallError) return otherwise;
    throw error;
  }
}

async function iommufdFinding(syscalls: Syscalls): Promise<Finding> {
  try {
    await syscalls.slow.close(syscalls.open('/dev/iommu'));
    return ok('iommufd', '/dev/iommu opens');
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    if (error.errno === 'EACCES' || error.errno === 'EPERM') {
      return bad('iommufd', `/dev/iommu cannot be opened (${error.errno})`, 'run as root');
    }
    return bad(
      'iommufd',
      `there is no /dev/iommu (${error.errno}): CONFIG_IOMMUFD is not enabled, or its module is not loaded`,
      'modprobe iommufd; Debian builds its kernels without CONFIG_IOMMUFD, so use another kernel there (Fedora and Ubuntu enable it)',
    );
  }
}

function featureFindings({ kernel }: Graph): readonly Finding[] {
  const has = (feature: string): boolean => kernel.features.includes(feature);
  return [
    has('vfio-cdev')
      ? ok('vfio-cdev', 'VFIO offers device files')
      : warn(
          'vfio-cdev',
          'no VFIO device file is there: CONFIG_VFIO_DEVICE_CDEV is not enabled, or no device is on a VFIO driver yet',
          'zgrep VFIO_DEVICE_CDEV /proc/config.gz or /boot/config-*; it needs Linux 6.6 or later',
        ),
    has('vfio-pci')
      ? ok('vfio-pci', 'the driver vfio-pci is there')
      : bad('vfio-pci', 'the driver vfio-pci is not there', 'modprobe vfio-pci'),
  ];
}

function iommuFindings(graph: Graph): readonly Finding[] {
  if (graph.iommus.size === 0) {
    return [
      bad(
        'iommu',
        'the kernel uses no IOMMU',
        'enable VT-d or AMD-Vi in the firmware, and intel_iommu=on on the kernel command line',
      ),
    ];
  }
  const unsafe = graph.kernel.features.includes('unsafe-interrupts');
  return [...graph.iommus.values()].flatMap((iommu) => [
    capabilityFinding(iommu),
    ...interruptFindings(iommu, unsafe),
  ]);
}

function capabilityFinding(iommu: Iommu): Finding {
  const tracking = {
    yes: 'can track dirty pages',
    no: 'cannot track dirty pages',
    unknown: 'may be able to track dirty pages: a bound device will tell',
  }[iommu.dirtyTracking];
  const width = iommu.addressWidth === null ? '' : `, ${iommu.addressWidth}-bit addresses`;
  return ok('iommu', `${iommu.name} (${iommu.type})${width}, ${tracking}`);
}

function interruptFindings(iommu: Iommu, unsafe: boolean): readonly Finding[] {
  if (iommu.msiIsolated !== 'no') return [];
  const text = `${iommu.name} does not remap interrupts`;
  return [
    unsafe
      ? warn(
          'interrupts',
          `${text}, and allow_unsafe_interrupts lets devices forge them`,
          'enable interrupt remapping in the firmware, and set allow_unsafe_interrupts to N',
        )
      : bad(
          'interrupts',
          `${text}, so BIND is refused (EPERM)`,
          'enable interrupt remapping (x2APIC, intremap=on) in the firmware',
        ),
  ];
}

function noIommuFinding({ kernel }: Graph): Finding {
  return kernel.features.includes('noiommu')
    ? warn(
        'no-iommu',
        'no-IOMMU mode is on: devices in it can reach all memory; autodomain never uses them',
        'echo N > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode',
      )
    : ok('no-iommu', 'no-IOMMU mode is off');
}

function acsFinding(cmdline: string): Finding {
  return /\bpcie_acs_override=/.test(cmdline)
    ? warn(
        'acs',
        'pcie_acs_override splits IOMMU groups that the hardware does not isolate',
        'remove it from the kernel command line; devices of such groups can reach each other',
      )
    : ok('acs', 'IOMMU groups are as the hardware isolates');
}

const MEMLOCK_ENOUGH = 1n << 30n;

/** Pages that a consumer maps are pinned against this limit, unless it has CAP_IPC_LOCK. */
function memlockFinding(limits: string): Finding {
  const soft = /^Max locked memory\s+(\S+)/m.exec(limits)?.[1];
  if (soft === undefined || soft === 'unlimited' || BigInt(soft) >= MEMLOCK_ENOUGH) {
    return ok('memlock', `RLIMIT_MEMLOCK is ${soft ?? 'not known'}`);
  }
  return warn(
    'memlock',
    `RLIMIT_MEMLOCK is ${soft} bytes: a consumer without CAP_IPC_LOCK can map no more than that`,
    'raise LimitMEMLOCK= of the unit, or `ulimit -l`',
  );
}

function holderFindings(graph: Graph): readonly Finding[] {
  const legacy = [...graph.groups.values()].filter((group) => group.holders.length > 0);
  const held = [...graph.devices.values()].filter((device) => device.holders.length > 0);
  return [
    ...legacy.map((group) =>
      warn(
        'legacy-group',
        `/dev/vfio/${group.id} is held by ${formatHolders(group.holders)}, so its devices cannot be bound (EBUSY)`,
        'stop that process, or let it use /dev/iommu',
      ),
    ),
    ...held.map((device) =>
      warn(
        'held',
        `${device.key} is held by ${formatHolders(device.holders)}`,
        'it is never taken; stop that process to free it',
      ),
    ),
  ];
}

/** Functions that are reset together but serve different containers, and functions that cannot be reset at all. */
function resetFindings(graph: Graph): readonly Finding[] {
  const holdings = holdingsOf(graph);
  const sets = new Map<string, PciDevice[]>();
  const findings: Finding[] = [];
  for (const device of graph.devices.values()) {
    if (device.kind !== 'pci' || device.bridge || device.cdev === null) continue;
    sets.set(device.devSet, [...(sets.get(device.devSet) ?? []), device]);
    if (device.reset.length > 0) continue;
    findings.push(
      warn(
        'reset',
        `${device.key} has no reset method: what one consumer leaves in it, the next one finds`,
        'give it to consumers that trust each other',
      ),
    );
  }
  for (const devices of sets.values()) {
    const containers = new Set(
      devices.map(({ key }) => holdings.get(key)?.device.attachment?.container ?? null),
    );
    if (containers.size < 2) continue;
    findings.push(
      warn(
        'hot-reset',
        `${listOf(devices.map(({ key }) => key))} are reset together and do not serve one container`,
        'put them into one container, or count on no bus reset for them',
      ),
    );
  }
  return findings;
}

function regionFindings(graph: Graph): readonly Finding[] {
  return [...graph.groups.values()]
    .filter((group) => group.reserved.some((region) => region.type === 'direct'))
    .map((group) =>
      warn(
        'firmware-region',
        `firmware reserves memory for group ${group.id} (${listOf(group.members)}), so BIND is refused (EINVAL)`,
        'turn off what uses it in the firmware (RMRR, unity map), or leave these devices to the host',
      ),
    );
}
