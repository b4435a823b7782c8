/** /proc and /dev of the model: the kernel's name, its command line, and other processes with their open files. */
import type { HostDocument } from '../../spec/types.generated.ts';
import type { Hardware } from './hardware.ts';
import type { SimHolder } from './objects.ts';
import { type KernelOffers, rdevOf } from './sysfs.ts';
import { computedDir, dir, file, link, type TreeNode } from './tree.ts';

/** The tree below /proc. */
export function procfs(host: HostDocument, hardware: Hardware): TreeNode {
  const { spec, metadata } = host;
  const remaps = spec.iommus?.some((iommu) => iommu.msiIsolated) ?? false;
  const fixed: Record<string, TreeNode> = {
    sys: dir({
      kernel: dir({
        osrelease: file(() => `${spec.kernel.release}\n`),
        hostname: file(() => `${metadata.name}\n`),
        random: dir({ boot_id: file(() => `${spec.bootId ?? NO_BOOT_ID}\n`) }),
      }),
    }),
    cmdline: file(() => 'intel_iommu=on,sm_on\n'),
    interrupts: file(() => ` 24:  0  ${remaps ? 'IR-PCI-MSI' : 'PCI-MSI'}  0-edge  ahci\n`),
  };
  const processes = (): Map<number, Process> => processesOf(hardware);
  return computedDir(
    () => [...Object.keys(fixed), ...[...processes().keys()].map(String)],
    (name) => {
      const process = /^[0-9]+$/.test(name) ? processes().get(Number(name)) : undefined;
      return process ? processDir(process) : (fixed[name] ?? null);
    },
  );
}

/** The boot id of a host whose document gives none: all zero, so that nobody takes it for a real one. */
export const NO_BOOT_ID = '00000000-0000-0000-0000-000000000000';

interface Process {
  readonly holder: SimHolder;
  readonly files: string[];
}

function processesOf(hardware: Hardware): Map<number, Process> {
  const processes = new Map<number, Process>();
  const open = (holder: SimHolder, path: string): void => {
    const process = processes.get(holder.pid) ?? { holder, files: [] };
    process.files.push(path);
    processes.set(holder.pid, process);
  };
  for (const device of hardware.devices.values()) {
    for (const holder of device.holders) open(holder, `/dev/vfio/devices/${device.cdev}`);
  }
  for (const group of hardware.groups.values()) {
    for (const holder of group.holders) open(holder, `/dev/vfio/${group.id}`);
  }
  return processes;
}

function processDir({ holder, files }: Process): TreeNode {
  const { comm, uid } = holder;
  return dir({
    comm: file(() => `${comm}\n`),
    status: file(() => `Name:\t${comm}\nUid:\t${uid}\t${uid}\t${uid}\t${uid}\n`),
    fd: dir(Object.fromEntries(files.map((path, index) => [String(index + 3), link(path)]))),
  });
}

/** The tree below /dev: device nodes only. Opening them is the business of the machine. */
export function devices(hardware: Hardware, offers: KernelOffers): TreeNode {
  const node = (rdev: string): TreeNode => ({ type: 'file', read: () => '', rdev });
  const cdevs = (): string[] =>
    [...hardware.devices.values()].flatMap((device) =>
      device.present && device.cdev !== null ? [device.cdev] : [],
    );
  return dir({
    iommu: offers.iommufd ? node('10:125') : null,
    vfio: dir({
      devices: offers.cdevs
        ? computedDir(cdevs, (name) => (cdevs().includes(name) ? node(rdevOf(name)) : null))
        : null,
    }),
  });
}
