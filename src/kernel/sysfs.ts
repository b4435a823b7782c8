/** PCI functions, mdevs and IOMMU groups from sysfs. Holders and held contexts are somebody else's business. */
import { type Bdf, busOf, type GroupId, isBdf, type MdevUuid } from '../base/ids.ts';
import type { Group, MdevDevice, PciDevice, ReservedRegion } from '../graph/types.ts';
import { lastPart, type Reader } from './reader.ts';

const PCI = '/sys/bus/pci/devices';
const MDEV = '/sys/bus/mdev/devices';
const GROUPS = '/sys/kernel/iommu_groups';
const NOT_ASKED = { device: 'unknown', migration: null } as const;

/** Reads every PCI function. */
export function readPciDevices(
  reader: Reader,
  variantOf: (modalias: string) => string | null,
): readonly PciDevice[] {
  const indexOf = vfIndexes(reader);
  return (reader.names(PCI, null) ?? [])
    .filter(isBdf)
    .map((bdf) => readPciDevice(new Attributes(reader, bdf), variantOf, indexOf));
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
  variantOf: (modalias: string) => string | null,
  indexOf: (pf: Bdf, vf: Bdf) => number | null,
): PciDevice {
  const { reader, bdf, dir } = attributes;
  const pciClass = hexDigits(attributes.text('class'));
  const pf = attributes.link('physfn') as Bdf | null;
  const index = pf === null ? null : indexOf(pf, bdf);
  const override = attributes.text('driver_override');
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
    driver: attributes.link('driver'),
    driverOverride: override === '' || override === '(null)' ? null : override,
    cdev: attributes.has('vfio-dev') ? readCdev(reader, dir, bdf) : null,
    variantDriver: variantOf(attributes.text('modalias')),
    holders: [],
    tracking: NOT_ASKED,
  };
}

/** Reads every mdev. */
export function readMdevs(reader: Reader): readonly MdevDevice[] {
  return (reader.names(MDEV, null) ?? []).map((uuid) => {
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
}

/** Reads the groups that the devices are in. */
export function readGroups(reader: Reader, devices: readonly PciDevice[]): readonly Group[] {
  const members = new Map<GroupId, PciDevice[]>();
  for (const device of devices) {
    if (device.group === null) continue;
    const list = members.get(device.group);
    if (list) list.push(device);
    else members.set(device.group, [device]);
  }
  const sorted = [...members].sort(([a], [b]) => a - b);
  for (const [id, group] of sorted) crossCheck(reader, id, group);
  return sorted.map(([id, group]) => ({
    id,
    iommu: group.find((device) => device.iommu !== null)?.iommu ?? null,
    reserved: parseRegions(reader.text(`${GROUPS}/${id}/reserved_regions`, `group:${id}`) ?? ''),
    members: group.map((device) => device.key),
  }));
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
