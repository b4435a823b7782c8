/** PCI functions, mdevs and IOMMU groups from sysfs. Holders and held contexts are somebody else's business. */
import {
  type Bdf,
  busOf,
  type DeviceKey,
  type GroupId,
  isBdf,
  type MdevUuid,
} from '../base/ids.ts';
import type { Group, MdevDevice, PciDevice, ReservedRegion } from '../graph/types.ts';
import type { ObservationCache, SeenPci } from './observe-cache.ts';
import { lastPart, type Reader } from './reader.ts';
import { type LiveLinks, readLiveLinks } from './sysfs-live.ts';

const PCI = '/sys/bus/pci/devices';
const MDEV = '/sys/bus/mdev/devices';
const GROUPS = '/sys/kernel/iommu_groups';
const NOT_ASKED = { device: 'unknown', migration: null } as const;

/** What a sweep over the devices works with. */
export interface Sweep {
  readonly reader: Reader;
  readonly cache: ObservationCache;
  readonly variantOf: (modalias: string) => string | null;
  /** Devices with a call that does not return: even a read of theirs may wait for it, so what was last seen stands. */
  readonly stuck: ReadonlySet<DeviceKey>;
  /** Devices that we have open. */
  readonly held: ReadonlySet<DeviceKey>;
}

/** Reads every PCI function: what may have changed of those that are known, and everything of the others. */
export function readPciDevices(sweep: Sweep): readonly PciDevice[] {
  const { reader, cache } = sweep;
  const names = (reader.names(PCI, null) ?? []).filter(isBdf);
  const links = cache.pci.size > 0 ? readLiveLinks(reader) : null;
  const indexOf = vfIndexes(reader);
  const here = new Map<Bdf, SeenPci>();
  const devices = names.map((bdf) => {
    const before = cache.pci.get(bdf);
    if (before !== undefined && sweep.stuck.has(bdf)) {
      here.set(bdf, before);
      return before.device;
    }
    const failures = reader.failures.length;
    const inode = reader.inode(`${PCI}/${bdf}`, bdf) ?? 0;
    const device =
      before?.inode === inode && links !== null
        ? refreshed(sweep, before.device, links)
        : readPciDevice(new Attributes(reader, bdf), sweep, indexOf);
    const seen = before?.device === device ? before : { inode, device };
    if (reader.failures.length === failures) here.set(bdf, seen);
    if (before?.inode !== inode && device.group !== null) cache.invalidateGroup(device.group);
    return device;
  });
  cache.replacePci(here);
  return devices;
}

/** A function that is known: only its driver, its device file and its override are looked at. */
function refreshed({ reader, held }: Sweep, before: PciDevice, links: LiveLinks): PciDevice {
  const { key } = before;
  const driver = links.driverOf.get(key) ?? null;
  const cdev = links.cdevOf.get(key) ?? null;
  const path = `${PCI}/${key}/driver_override`;
  const isGoing = held.has(key) && driver === null;
  const driverOverride = isGoing ? null : overrideOf(reader.text(path, key) ?? '');
  const isSame =
    driver === before.driver && cdev === before.cdev && driverOverride === before.driverOverride;
  return isSame ? before : { ...before, driver, cdev, driverOverride };
}

/** The attributes of one function: what the directory does not list is not asked for, because a failed open costs more than a listing. */
class Attributes {
  readonly reader: Reader;
  readonly bdf: Bdf;
  readonly dir: string;
  readonly #entries: ReadonlySet<string>;

  constructor(reader: Reader, bdf: Bdf) {
    this.reader = reader;
    this.bdf = bdf;
    this.dir = `${PCI}/${bdf}`;
    this.#entries = new Set(reader.names(this.dir, bdf) ?? []);
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  text(name: string): string {
    return this.has(name) ? (this.reader.text(`${this.dir}/${name}`, this.bdf) ?? '') : '';
  }

  link(name: string): string | null {
    return this.has(name) ? this.reader.linkName(`${this.dir}/${name}`, this.bdf) : null;
  }
}

function readPciDevice(
  attributes: Attributes,
  { variantOf, held }: Sweep,
  indexOf: (pf: Bdf, vf: Bdf) => number | null,
): PciDevice {
  const { reader, bdf, dir } = attributes;
  const pciClass = hexDigits(attributes.text('class'));
  const pf = attributes.link('physfn') as Bdf | null;
  const index = pf === null ? null : indexOf(pf, bdf);
  const driver = attributes.link('driver');
  const numaNode = Number(attributes.text('numa_node') || -1);
  const group = attributes.link('iommu_group');
  return {
    kind: 'pci',
    key: bdf,
    vendor: hexDigits(attributes.text('vendor')),
    device: hexDigits(attributes.text('device')),
    class: pciClass,
    numaNode: numaNode < 0 ? null : numaNode,
    vf: pf === null || index === null ? null : { pf, index },
    bridge: pciClass.startsWith('0604'),
    group: group === null ? null : (Number(group) as GroupId),
    iommu: attributes.link('iommu'),
    devSet: pf === null ? devSetOf(reader, bdf) : bdf,
    reset: attributes.text('reset_method').split(' ').filter(Boolean),
    driver,
    // A device that is removed under us: its lock is held until we close it, and the read would wait for it.
    driverOverride:
      held.has(bdf) && driver === null ? null : overrideOf(attributes.text('driver_override')),
    cdev: attributes.has('vfio-dev') ? readCdev(reader, dir, bdf) : null,
    variantDriver: variantOf(attributes.text('modalias')),
    holders: [],
    tracking: NOT_ASKED,
  };
}

function overrideOf(text: string): string | null {
  return text === '' || text === '(null)' ? null : text;
}

/** Reads every mdev. */
export function readMdevs({ reader, cache, stuck }: Sweep): readonly MdevDevice[] {
  const mdevs = (reader.names(MDEV, null) ?? []).map((uuid): MdevDevice => {
    const before = cache.mdevs.get(uuid as MdevUuid);
    if (before !== undefined && stuck.has(before.key)) return before;
    const dir = `${MDEV}/${uuid}`;
    const real = reader.realPath(dir, uuid) ?? '';
    return {
      kind: 'mdev',
      key: uuid as MdevUuid,
      parent: lastPart(real.slice(0, real.lastIndexOf('/'))),
      type: reader.linkName(`${dir}/mdev_type`, uuid) ?? '',
      driver: reader.linkName(`${dir}/driver`, uuid),
      cdev: readCdev(reader, dir, uuid),
      holders: [],
      tracking: NOT_ASKED,
    };
  });
  cache.mdevs.clear();
  for (const mdev of mdevs) cache.mdevs.set(mdev.key, mdev);
  return mdevs;
}

/** Reads the groups that the devices are in, but for those whose members are the same as before. */
export function readGroups(
  { reader, cache, stuck }: Sweep,
  devices: readonly PciDevice[],
): readonly Group[] {
  const members = new Map<GroupId, PciDevice[]>();
  for (const device of devices) {
    if (device.group === null) continue;
    const list = members.get(device.group);
    if (list) list.push(device);
    else members.set(device.group, [device]);
  }
  const groups = [...members]
    .sort(([a], [b]) => a - b)
    .map(([id, members]) => {
      const before = cache.groups.get(id);
      const keeps = before?.isCurrent || members.some(({ key }) => stuck.has(key));
      if (before !== undefined && keeps) return before.group;
      const failures = reader.failures.length;
      const group = readGroup(reader, id, members);
      if (reader.failures.length === failures) cache.groups.set(id, { group, isCurrent: true });
      return group;
    });
  for (const id of cache.groups.keys()) {
    if (!members.has(id)) cache.groups.delete(id);
  }
  return groups;
}

function readGroup(reader: Reader, id: GroupId, group: readonly PciDevice[]): Group {
  crossCheck(reader, id, group);
  return {
    id,
    iommu: group.find((device) => device.iommu !== null)?.iommu ?? null,
    reserved: parseRegions(reader.text(`${GROUPS}/${id}/reserved_regions`, `group:${id}`) ?? ''),
    members: group.map((device) => device.key),
  };
}

/** A group's own list of members against the links of the devices: where they differ, a device came or went meanwhile, and nothing is planned from it. */
function crossCheck(reader: Reader, id: GroupId, group: readonly PciDevice[]): void {
  const listed = reader.names(`${GROUPS}/${id}/devices`, `group:${id}`) ?? [];
  const linked = new Set<string>(group.map((device) => device.key));
  const differs = listed.filter(isBdf).filter((bdf) => !linked.has(bdf));
  if (differs.length === 0 && listed.length >= linked.size) return;
  const what = `members of IOMMU group ${id}: its list and the devices' links differ`;
  reader.failures.push({ what, errno: 'ESTALE', about: `group:${id}` });
}

function readCdev(reader: Reader, dir: string, about: string): string | null {
  const names = reader.names(`${dir}/vfio-dev`, about) ?? [];
  return names.find((name) => /^(noiommu-)?vfio[0-9]+$/.test(name)) ?? null;
}

/** VFIO resets a function alone where it can: on a root bus; elsewhere with its whole bus. Source: vfio_pci_core_register_device (v6.12). */
function devSetOf(reader: Reader, bdf: Bdf): string {
  const target = reader.link(`${PCI}/${bdf}`, bdf) ?? '';
  const parent = lastPart(target.slice(0, target.lastIndexOf('/')));
  return parent.startsWith('pci') ? bdf : busOf(bdf);
}

/** VF indexes stand only in the PF's directory, as virtfnN links; each PF is read once. */
function vfIndexes(reader: Reader): (pf: Bdf, vf: Bdf) => number | null {
  const known = new Map<Bdf, ReadonlyMap<string, number>>();
  const read = (pf: Bdf): ReadonlyMap<string, number> => {
    const links = (reader.names(`${PCI}/${pf}`, pf) ?? []).filter((name) =>
      /^virtfn\d+$/.test(name),
    );
    return new Map(
      links.map((name) => [
        reader.linkName(`${PCI}/${pf}/${name}`, pf) ?? '',
        Number(name.slice(6)),
      ]),
    );
  };
  return (pf, vf) => {
    const indexes = known.get(pf) ?? read(pf);
    known.set(pf, indexes);
    return indexes.get(vf) ?? null;
  };
}

function parseRegions(text: string): readonly ReservedRegion[] {
  return text
    .split('\n')
    .map((line) => line.split(' '))
    .flatMap(([start, last, type]) => {
      if (start === undefined || last === undefined || type === undefined) return [];
      return [{ start: BigInt(start), last: BigInt(last), type: type as ReservedRegion['type'] }];
    });
}

function hexDigits(text: string): string {
  return text.replace(/^0x/, '');
}
