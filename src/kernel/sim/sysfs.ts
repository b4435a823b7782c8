/**
 * /sys of the model: the files that describe PCI functions, IOMMUs, groups, mdevs and drivers, and
 * the few that take a write. Registers are composed from the capabilities of the Host document.
 * Source: drivers/pci/pci-sysfs.c, drivers/iommu/{iommu-sysfs,intel/iommu,amd/init}.c (v6.12).
 */
import { compareText, type DeviceKey } from '../../base/ids.ts';
import { formatHex } from '../../base/iova.ts';
import { SyscallError } from '../port.ts';
import type { Hardware } from './hardware.ts';
import type { SimDevice, SimGroup, SimIommu } from './objects.ts';
import { registersOf } from './registers.ts';
import { computedDir, dir, file, link, type TreeNode } from './tree.ts';

/** What writes to sysfs do; the machine answers them. */
export interface DriverWrites {
  bind(driver: string, address: string): void;
  /** Sleeps while we have the device open. */
  unbind(driver: string, address: string): void | Promise<void>;
}

/** Which modules and features the kernel of the host has. */
export interface KernelOffers {
  readonly vfioPci: boolean;
  readonly cdevs: boolean;
  readonly iommufd: boolean;
  readonly unsafeInterrupts: boolean;
  readonly noIommu: boolean;
}

/** The tree below /sys. */
export function sysfs(hardware: Hardware, offers: KernelOffers, writes: DriverWrites): TreeNode {
  const deviceDir = new DeviceDirs(hardware);
  const flag = (on: boolean): TreeNode => file(() => `${on ? 'Y' : 'N'}\n`);
  return dir({
    bus: dir({
      pci: dir({
        devices: deviceDir.bus('pci'),
        drivers: driversDir(hardware, offers, writes),
      }),
      mdev: dir({ devices: deviceDir.bus('mdev') }),
    }),
    kernel: dir({ iommu_groups: groupsDir(hardware, deviceDir) }),
    class: dir({
      iommu: iommusDir(hardware),
      'vfio-dev': offers.cdevs ? deviceDir.files() : null,
    }),
    module: dir({
      iommufd: offers.iommufd
        ? dir({ parameters: dir({ allow_unsafe_interrupts: flag(offers.unsafeInterrupts) }) })
        : null,
      vfio: dir({ parameters: dir({ enable_unsafe_noiommu_mode: flag(offers.noIommu) }) }),
      vfio_pci: offers.vfioPci ? dir({ parameters: dir({ disable_idle_d3: flag(false) }) }) : null,
    }),
  });
}

/** The major number that the model gives VFIO device files. */
const VFIO_MAJOR = 511;

/** The device number of a VFIO device file. */
export function rdevOf(cdev: string): string {
  return `${VFIO_MAJOR}:${/[0-9]+$/.exec(cdev)?.[0] ?? 0}`;
}

class DeviceDirs {
  readonly #hardware: Hardware;
  readonly #virtfns = new Map<string, SimDevice[]>();
  readonly #dirs = new Map<SimDevice, TreeNode>();
  readonly #links = new Map<SimDevice, TreeNode>();
  /** Where a device file was last found; it moves when drivers come and go. */
  readonly #lastAt = new Map<string, SimDevice>();

  constructor(hardware: Hardware) {
    this.#hardware = hardware;
    for (const device of hardware.devices.values()) {
      const pf = device.pci?.pf;
      if (pf !== undefined) this.#virtfns.set(pf, [...(this.#virtfns.get(pf) ?? []), device]);
    }
  }

  /** /sys/bus/BUS/devices: links to the device directories. A PF that is not listed has one too, for its VFs' sake. */
  bus(bus: 'pci' | 'mdev'): TreeNode {
    const isHere = (device: SimDevice): boolean =>
      device.present && (device.pci !== null) === (bus === 'pci');
    const names = (): string[] =>
      [...this.#hardware.devices.values()].filter(isHere).map((device) => device.key);
    return computedDir(names, (name) => {
      const device = this.#hardware.devices.get(name as DeviceKey);
      if (device && isHere(device)) return this.#link(device);
      return this.#virtfns.has(name) ? dir(this.#virtfnLinks(name)) : null;
    });
  }

  /** /sys/class/vfio-dev. */
  files(): TreeNode {
    const withFile = (): SimDevice[] =>
      [...this.#hardware.devices.values()].filter((each) => each.present && each.cdev !== null);
    return computedDir(
      () => withFile().map((device) => device.cdev ?? ''),
      (name) => {
        const device = this.#withFile(name);
        return device ? link(`../../devices/${realPathOf(device)}/vfio-dev/${name}`) : null;
      },
    );
  }

  #withFile(cdev: string): SimDevice | null {
    const find = (): SimDevice | null => {
      const device = this.#lastAt.get(cdev);
      return device?.present && device.cdev === cdev ? device : null;
    };
    const last = find();
    if (last !== null) return last;
    for (const device of this.#hardware.devices.values()) {
      if (device.cdev !== null) this.#lastAt.set(device.cdev, device);
    }
    return find();
  }

  #link(device: SimDevice): TreeNode {
    const known = this.#links.get(device);
    if (known) return known;
    const made = link(`../../../devices/${realPathOf(device)}`, () => this.of(device));
    this.#links.set(device, made);
    return made;
  }

  of(device: SimDevice): TreeNode {
    const known = this.#dirs.get(device);
    if (known) return known;
    const made = device.pci === null ? this.#mdev(device) : this.#pci(device, device.pci);
    this.#dirs.set(device, made);
    return made;
  }

  #pci(device: SimDevice, doc: NonNullable<SimDevice['pci']>): TreeNode {
    const { group } = device;
    const text = (value: string): TreeNode => file(() => `${value}\n`);
    const fixed: Record<string, TreeNode | null> = {
      vendor: text(`0x${doc.vendor}`),
      device: text(`0x${doc.device}`),
      class: text(`0x${doc.class}`),
      numa_node: text(String(doc.numaNode ?? -1)),
      modalias: text(modaliasOf(doc)),
      reset_method: doc.reset === undefined ? null : text(doc.reset),
      iommu_group:
        group === null ? null : link(`../../../kernel/iommu_groups/${group.id}`, () => null),
      iommu: group?.iommu ? link(`../../virtual/iommu/${group.iommu.doc.name}`) : null,
      physfn: doc.pf === undefined ? null : link(`../${doc.pf}`),
      ...this.#virtfnLinks(device.key),
    };
    return this.#live(device, fixed, {
      type: 'file',
      read: () => `${device.driverOverride ?? '(null)'}\n`,
      write: (value) => {
        const name = value.trim();
        device.driverOverride = name === '' ? null : name;
      },
    });
  }

  #mdev(device: SimDevice): TreeNode {
    const type = device.mdev?.type ?? '';
    const fixed = { mdev_type: link(`../mdev_supported_types/${type}`) };
    return this.#live(device, fixed, null);
  }

  /** A device directory whose driver and file come and go. */
  #live(
    device: SimDevice,
    fixed: Readonly<Record<string, TreeNode | null>>,
    override: TreeNode | null,
  ): TreeNode {
    const names = Object.keys(fixed).filter((name) => fixed[name] !== null);
    const driver = (): TreeNode | null =>
      device.driver === null ? null : link(`../../../bus/drivers/${device.driver}`);
    const files = (): TreeNode | null => (device.cdev === null ? null : cdevDir(device.cdev));
    const real = `/sys/devices/${realPathOf(device)}`;
    return {
      type: 'dir',
      real,
      inode: () => device.inode,
      names: () => [
        ...names,
        ...(override === null ? [] : ['driver_override']),
        ...(device.driver === null ? [] : ['driver']),
        ...(device.cdev === null ? [] : ['vfio-dev']),
      ],
      child: (name) => {
        if (name === 'driver') return driver();
        if (name === 'vfio-dev') return files();
        if (name === 'driver_override') return override;
        return Object.hasOwn(fixed, name) ? (fixed[name] ?? null) : null;
      },
    };
  }

  #virtfnLinks(pf: string): Record<string, TreeNode> {
    return Object.fromEntries(
      (this.#virtfns.get(pf) ?? []).map((vf) => [`virtfn${vf.pci?.vf ?? 0}`, link(`../${vf.key}`)]),
    );
  }
}

function cdevDir(cdev: string): TreeNode {
  return dir({ [cdev]: dir({ dev: file(() => `${rdevOf(cdev)}\n`) }) });
}

/** Below a root bus, or below a bridge that need not be listed. */
function realPathOf(device: SimDevice): string {
  if (device.mdev !== null) return `virtual/${device.mdev.parent}/${device.key}`;
  const domain = device.key.slice(0, device.key.indexOf(':'));
  const bus = device.key.slice(0, device.key.lastIndexOf(':'));
  if (device.pci?.rootBus) return `pci${bus}/${device.key}`;
  return `pci${domain}:00/${domain}:00:1c.0/${device.key}`;
}

function modaliasOf(doc: NonNullable<SimDevice['pci']>): string {
  const wide = (id: string): string => id.toUpperCase().padStart(8, '0');
  const [base, sub, programming] = [0, 2, 4].map((at) => doc.class.slice(at, at + 2).toUpperCase());
  return `pci:v${wide(doc.vendor)}d${wide(doc.device)}sv00000000sd00000000bc${base}sc${sub}i${programming}`;
}

function driversDir(hardware: Hardware, offers: KernelOffers, writes: DriverWrites): TreeNode {
  const names = (): string[] => {
    const bound = [...hardware.devices.values()].flatMap((device) =>
      device.pci !== null && device.driver !== null ? [device.driver] : [],
    );
    return [...new Set([...(offers.vfioPci ? ['vfio-pci'] : []), ...bound])].sort(compareText);
  };
  const command = (run: (address: string) => void | Promise<void>): TreeNode => ({
    type: 'file',
    read: () => {
      throw new SyscallError('open', 'EACCES', 'a write-only file');
    },
    write: (text) => run(text.trim()),
  });
  const boundTo = (driver: string): SimDevice[] =>
    [...hardware.devices.values()].filter((each) => each.present && each.driver === driver);
  return computedDir(names, (driver) => {
    const commands: Record<string, TreeNode> = {
      bind: command((address) => writes.bind(driver, address)),
      unbind: command((address) => writes.unbind(driver, address)),
    };
    if (!names().includes(driver)) return null;
    return computedDir(
      () => [...Object.keys(commands), ...boundTo(driver).map(({ key }) => key)],
      (name) => {
        const device = hardware.devices.get(name as DeviceKey);
        const isHere = device?.present && device.driver === driver;
        if (isHere) return link(`../../../../devices/${realPathOf(device)}`);
        return Object.hasOwn(commands, name) ? (commands[name] ?? null) : null;
      },
    );
  });
}

function groupsDir(hardware: Hardware, devices: DeviceDirs): TreeNode {
  return computedDir(
    () => [...hardware.groups.keys()].map(String),
    (name) => {
      const group = hardware.groups.get(Number(name));
      return group ? groupDir(group, devices) : null;
    },
  );
}

function groupDir(group: SimGroup, devices: DeviceDirs): TreeNode {
  const members = (): SimDevice[] => group.members.filter((member) => member.present);
  return dir({
    type: file(() => 'DMA\n'),
    reserved_regions: file(() =>
      group.reserved
        .map(({ start, last, type }) => `${padHex(start)} ${padHex(last)} ${type}\n`)
        .join(''),
    ),
    devices: computedDir(
      () => members().map((member) => member.key),
      (name) => {
        const member = members().find((each) => each.key === name);
        return member
          ? link(`../../../../devices/${realPathOf(member)}`, () => devices.of(member))
          : null;
      },
    ),
  });
}

function padHex(value: bigint): string {
  return `0x${value.toString(16).padStart(16, '0')}`;
}

function iommusDir(hardware: Hardware): TreeNode {
  return computedDir(
    () => [...hardware.iommus.keys()],
    (name) => {
      const iommu = hardware.iommus.get(name);
      return iommu ? dir(registerDirs(iommu)) : null;
    },
  );
}

function registerDirs(iommu: SimIommu): Record<string, TreeNode> {
  const hex = (value: bigint): TreeNode => file(() => `${formatHex(value).slice(2)}\n`);
  const registers = registersOf(iommu.doc);
  switch (registers.type) {
    case 'intel':
      return { 'intel-iommu': dir({ cap: hex(registers.cap), ecap: hex(registers.ecap) }) };
    case 'amd':
      return {
        'amd-iommu': dir({ features: file(() => `${registers.efr.toString(16)}:0\n`) }),
      };
    case 'none':
      return {};
  }
}
