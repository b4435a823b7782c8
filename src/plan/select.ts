/**
 * Which device serves which container: named devices first, then selectors. Deterministic (lowest
 * address first) and sticky (a device that serves the container stays). A group is never torn.
 */
import { compareText, type DeviceKey, type GroupId } from '../base/ids.ts';
import { groupOf, type Holding, isBeingRemoved } from '../graph/query.ts';
import type { Graph, PciDevice } from '../graph/types.ts';
import type { Claim, ContainerSpec, Place, Selector } from '../spec/config.ts';
import { driverState } from './drivers.ts';
import { devicesHandedOut } from './handed-out.ts';
import type { Blocker } from './types.ts';

/** The claim that a device serves. */
export interface Assignment {
  readonly container: string;
  readonly place: Place;
}

/** Devices with the container that they shall serve. */
export interface Selection {
  readonly assigned: ReadonlyMap<DeviceKey, Assignment>;
  /** Held devices whose removal somebody asked for, so that no claim is served by them. */
  readonly going: ReadonlySet<DeviceKey>;
  readonly blocked: readonly Blocker[];
}

type SelectClaim = Extract<Claim, { kind: 'select' }>;

/** How many devices that a selector passed over are named; the rest are counted. */
const PASSED_OVER_MAX = 8;

/** Assigns devices to the wanted containers. */
export function selectDevices(
  graph: Graph,
  holdings: ReadonlyMap<DeviceKey, Holding>,
  wanted: readonly ContainerSpec[],
): Selection {
  const theirs = devicesHandedOut(graph);
  const going = new Set(
    [...holdings.keys()].filter((key) => !theirs.has(key) && isBeingRemoved(graph, key)),
  );
  const selector = new Selecting(graph, holdings, going);
  for (const spec of wanted) selector.takeNamed(spec);
  const open: OpenClaim[] = wanted.flatMap((spec) => selector.openClaims(spec));
  for (const claim of open) selector.takeSticky(claim);
  for (const claim of open) selector.takeFree(claim);
  return { assigned: selector.assigned, going, blocked: selector.blocked };
}

interface OpenClaim {
  readonly spec: ContainerSpec;
  readonly claim: SelectClaim;
  readonly matches: readonly PciDevice[];
  missing: number;
}

class Selecting {
  readonly assigned = new Map<DeviceKey, Assignment>();
  readonly blocked: Blocker[] = [];
  readonly #graph: Graph;
  readonly #holdings: ReadonlyMap<DeviceKey, Holding>;
  readonly #going: ReadonlySet<DeviceKey>;
  readonly #groupOwner = new Map<GroupId, string>();
  readonly #byId = new Map<string, PciDevice[]>();
  readonly #endpoints: PciDevice[] = [];

  constructor(
    graph: Graph,
    holdings: ReadonlyMap<DeviceKey, Holding>,
    going: ReadonlySet<DeviceKey>,
  ) {
    this.#graph = graph;
    this.#holdings = holdings;
    this.#going = going;
    for (const device of graph.devices.values()) {
      if (device.kind !== 'pci' || device.bridge || going.has(device.key)) continue;
      this.#endpoints.push(device);
      const id = `${device.vendor}:${device.device}`;
      const same = this.#byId.get(id);
      if (same) same.push(device);
      else this.#byId.set(id, [device]);
    }
    for (const list of [this.#endpoints, ...this.#byId.values()]) {
      list.sort((a, b) => compareText(a.key, b.key));
    }
  }

  takeNamed(spec: ContainerSpec): void {
    for (const claim of spec.claims) {
      if (claim.kind === 'select') continue;
      const key = claim.kind === 'pci' ? claim.pci : claim.mdev;
      if (this.#going.has(key)) continue;
      if (this.#graph.devices.has(key)) this.#assign(key, spec.name, claim.place);
      else {
        const { name: container } = spec;
        this.blocked.push({ kind: 'device-missing', container, device: key, place: claim.place });
      }
    }
  }

  /** The selectors of a container; the one with the fewest matches chooses first. */
  openClaims(spec: ContainerSpec): OpenClaim[] {
    const open: OpenClaim[] = [];
    for (const claim of spec.claims) {
      if (claim.kind !== 'select') continue;
      open.push({ spec, claim, matches: this.#matching(claim.select), missing: claim.count });
    }
    return open.sort(
      (a, b) => a.matches.length - b.matches.length || compareText(textOf(a), textOf(b)),
    );
  }

  takeSticky(open: OpenClaim): void {
    for (const device of open.matches) {
      if (open.missing === 0) return;
      const attachment = this.#holdings.get(device.key)?.device.attachment;
      if (attachment?.container !== open.spec.name || this.assigned.has(device.key)) continue;
      this.#assign(device.key, open.spec.name, open.claim.place);
      open.missing -= 1;
    }
  }

  takeFree(open: OpenClaim): void {
    for (const device of open.matches) {
      if (open.missing === 0) return;
      if (this.assigned.has(device.key) || this.#whyNot(device, open.spec) !== null) continue;
      this.#assign(device.key, open.spec.name, open.claim.place);
      open.missing -= 1;
    }
    if (open.missing > 0) this.blocked.push(this.#notEnough(open));
  }

  #assign(key: DeviceKey, container: string, place: Place): void {
    if (this.assigned.has(key)) return;
    this.assigned.set(key, { container, place });
    const device = this.#graph.devices.get(key);
    const group = device ? groupOf(device) : null;
    if (group !== null && !this.#groupOwner.has(group)) this.#groupOwner.set(group, container);
  }

  #matching(select: Selector): readonly PciDevice[] {
    const { vendor, device } = select;
    const among =
      vendor !== undefined && device !== undefined
        ? (this.#byId.get(`${vendor}:${device}`) ?? [])
        : this.#endpoints;
    return among.filter((candidate) => matches(candidate, select));
  }

  /** Why a matching device is not free for the container; null: it is. */
  #whyNot(device: PciDevice, spec: ContainerSpec): string | null {
    const owner = this.assigned.get(device.key)?.container;
    if (owner !== undefined) return `serves ${owner}`;
    if (device.group === null) return 'has no IOMMU';
    const groupOwner = this.#groupOwner.get(device.group);
    if (groupOwner !== undefined && groupOwner !== spec.name) {
      return `its IOMMU group ${device.group} belongs to ${groupOwner}`;
    }
    const holding = this.#holdings.get(device.key);
    if (holding) return holdingReason(holding, spec);
    const holder = device.holders[0];
    if (holder) return `held by ${holder.comm} (pid ${holder.pid})`;
    const taint = this.#graph.tainted.get(device.key);
    if (taint !== undefined) return `came back from a consumer and ${taint}`;
    const driver = driverState(device, spec.driver);
    if (driver.state !== 'blocked') return null;
    return `is on driver ${device.driver ?? 'none'}`;
  }

  #notEnough(open: OpenClaim): Blocker {
    const { spec, claim } = open;
    const passedOver = open.matches
      .filter((device) => this.assigned.get(device.key)?.container !== spec.name)
      .map((device) => ({ device: device.key, why: this.#whyNot(device, spec) ?? 'free' }));
    return {
      kind: 'not-enough-devices',
      container: spec.name,
      place: claim.place,
      wanted: claim.count,
      found: claim.count - open.missing,
      passedOver: passedOver.slice(0, PASSED_OVER_MAX),
      passedOverCount: passedOver.length,
    };
  }
}

/** A device that serves another container is not taken from it by a selector; one that is merely bound may be. */
function holdingReason(holding: Holding, spec: ContainerSpec): string | null {
  const container = holding.device.attachment?.container;
  if (container === undefined || container === spec.name) return null;
  return `still serves ${container}`;
}

function textOf(open: OpenClaim): string {
  const { vendor, device, class: pciClass, numaNode, pf, vf } = open.claim.select;
  return JSON.stringify([
    vendor,
    device,
    pciClass,
    numaNode,
    pf,
    vf?.first,
    vf?.last,
    open.claim.count,
  ]);
}

function matches(device: PciDevice, select: Selector): boolean {
  return (
    (select.vendor === undefined || device.vendor === select.vendor) &&
    (select.device === undefined || device.device === select.device) &&
    (select.class === undefined || device.class.startsWith(select.class)) &&
    (select.numaNode === undefined || device.numaNode === select.numaNode) &&
    (select.pf === undefined || device.vf?.pf === select.pf) &&
    (select.vf === undefined || isVfIn(device, select.vf))
  );
}

function isVfIn(
  device: PciDevice,
  range: { readonly first: number; readonly last: number },
): boolean {
  return device.vf !== null && device.vf.index >= range.first && device.vf.index <= range.last;
}
