/** Random hosts and random configs, both from a seed. */
import type { HostDocument } from '../../src/spec/types.generated.ts';
import { hostOf } from '../support/world.ts';

/** A source of chance. */
export class Chance {
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  below(count: number): number {
    return Math.floor(this.#random() * count);
  }

  is(probability: number): boolean {
    return this.#random() < probability;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }

  shuffled<T>(list: readonly T[]): T[] {
    return [...list]
      .map((value) => ({ value, order: this.#random() }))
      .sort((a, b) => a.order - b.order)
      .map(({ value }) => value);
  }
}

/** What a config may claim on a host: IOMMU groups with their devices, and mdevs. */
export interface Offer {
  readonly groups: readonly (readonly string[])[];
  readonly mdevs: readonly string[];
}

/** A host with several IOMMUs, groups of one and of two, mdevs, and two devices that no config ever names. */
export function randomHost(chance: Chance): { host: HostDocument; offer: Offer } {
  const iommu = (name: string, more: object): object => ({
    name,
    type: 'intel',
    coherentWalk: true,
    nesting: false,
    pageSizes: ['4KiB'],
    msiIsolated: true,
    ...more,
  });
  const iommus = [
    iommu('dmar0', { addressWidth: 48, snoopControl: true, dirtyTracking: true }),
    iommu('dmar1', { addressWidth: 39, snoopControl: true, dirtyTracking: false }),
    iommu('dmar2', { addressWidth: 48, snoopControl: false, dirtyTracking: true }),
  ];
  const count = 5 + chance.below(4);
  const places = Array.from({ length: count + 2 }, (_, at) =>
    randomGroup(chance, at + 1, at - count),
  );
  const mdevs = [0, 1].map((n) => ({
    uuid: `83b8f4f2-509f-382f-3c1e-e6bfe0fa100${n}`,
    parent: 'mtty',
    type: 'mtty-1',
    cdev: `vfio${40 + n}`,
  }));
  const host = hostOf(
    JSON.stringify({
      apiVersion: 'autodomain.dev/v1alpha1',
      kind: 'Host',
      metadata: { name: 'sim' },
      spec: {
        kernel: { release: '6.12.0-sim', features: ['iommufd', 'vfio-cdev', 'vfio-pci'] },
        iommus,
        groups: places.map(({ group }) => group),
        devices: places.flatMap(({ devices }) => devices),
        mdevs,
      },
      simulation: { latencyMs: { bind: 106, close: 106, alloc: 2, attach: 1 } },
    }),
  );
  const groups = places.slice(0, count).map(({ devices }) => devices.map(({ pci }) => pci));
  return { host, offer: { groups, mdevs: mdevs.map(({ uuid }) => uuid) } };
}

/** A group of one or two. `foreign` 0 and 1 are the ones that no config names: a native driver, and somebody else's vfio-pci. */
function randomGroup(
  chance: Chance,
  id: number,
  foreign: number,
): { group: object; devices: { pci: string }[] } {
  const size = foreign >= 0 || chance.is(0.7) ? 1 : 2;
  const devices = Array.from({ length: size }, (_, fn) => {
    const driver = foreign === 0 ? 'nvme' : 'vfio-pci';
    const cdev = foreign === 0 ? {} : { cdev: `vfio${id * 2 + fn}` };
    const isDriverless = foreign < 0 && chance.is(0.2);
    const ids = { group: id, vendor: '8086', device: '1889', class: '020000', reset: 'flr' };
    const place = {
      pci: `0000:${id.toString(16).padStart(2, '0')}:0${fn}.0`,
      ...(size === 1 ? { rootBus: true } : {}),
    };
    return { ...place, ...ids, ...(isDriverless ? {} : { driver, ...cdev }) };
  });
  const iommu = chance.pick(['dmar0', 'dmar0', 'dmar1', 'dmar2']);
  const reserved = [{ start: '0xfee00000', last: '0xfeefffff', type: 'msi' }];
  return { group: { id, iommu, reserved }, devices };
}

interface ContainerModel {
  name: string;
  formerly: string[];
  context: string | null;
  mode: 'none' | 'preferred' | 'required';
  active: boolean;
  absent: boolean;
  allow: boolean;
}

/** Not `required`: a device that cannot track would block everything. */
const TRACKED = { mode: 'preferred', active: true } as const;

const NAMES = ['a', 'b', 'c', 'd'];

/** The operator's files: they change by small edits, and are now and then broken. */
export class ConfigModel {
  readonly #chance: Chance;
  readonly #offer: Offer;
  readonly #tracked: boolean;
  #containers: ContainerModel[] = [];
  /** The container of each group or mdev, by its first device. */
  readonly #serves = new Map<string, string>();
  #typo = '';
  #renames = 0;

  constructor(chance: Chance, offer: Offer, tracked: boolean) {
    this.#chance = chance;
    this.#offer = offer;
    this.#tracked = tracked;
    for (let edits = 0; edits < 4; edits += 1) this.#change();
  }

  /** One edit, in words. */
  edit(): string {
    if (this.#typo !== '') return this.repair();
    if (this.#chance.is(0.08)) {
      this.#typo = '\n---\nkind: [';
      return 'a typo';
    }
    return this.#change();
  }

  /** Undoes a typo. */
  repair(): string {
    this.#typo = '';
    return 'the typo is mended';
  }

  /** The files as they are. */
  files(): readonly { path: string; text: string }[] {
    return this.#render((list) => [...list]);
  }

  /** The same config, in another order. */
  shuffledFiles(): readonly { path: string; text: string }[] {
    return this.#render((list) => this.#chance.shuffled(list));
  }

  #change(): string {
    const chance = this.#chance;
    const container = this.#containers.length > 0 ? chance.pick(this.#containers) : null;
    const isTaken = (name: string): boolean =>
      this.#containers.some((each) => each.name === name || each.formerly.includes(name));
    const free = NAMES.filter((name) => !isTaken(name));
    const choice = chance.below(10);
    if (container === null || (choice === 0 && free.length > 0)) {
      const made = this.#create(free[0] ?? 'e');
      this.#claim(made.name);
      return `container ${made.name} comes`;
    }
    switch (choice) {
      case 1:
        this.#containers = this.#containers.filter((each) => each !== container);
        for (const [unit, name] of this.#serves) {
          if (name === container.name) this.#serves.delete(unit);
        }
        return `container ${container.name} goes`;
      case 2:
        return this.#rename(container);
      case 3:
        container.mode = chance.pick(['none', 'preferred', 'required']);
        return `${container.name}: tracking ${container.mode}`;
      case 4:
        container.active = !container.active;
        return `${container.name}: active ${container.active}`;
      case 5:
        container.absent = chance.is(0.4);
        return `${container.name}: absent ${container.absent}`;
      case 6:
        container.allow = !container.allow;
        return `${container.name}: allow ${container.allow}`;
      case 7: {
        const [unit] = chance.pick([...this.#serves, ['', '']]);
        this.#serves.delete(unit);
        return `${unit} is no longer claimed`;
      }
      default:
        return this.#claim(container.name);
    }
  }

  #create(name: string): ContainerModel {
    const context = this.#chance.is(0.5) ? 'shared' : null;
    const mode = this.#chance.pick(['none', 'preferred', 'required'] as const);
    const more = { active: this.#chance.is(0.3), absent: false, allow: false };
    const container = { name, formerly: [], context, mode, ...more };
    this.#containers.push(container);
    return container;
  }

  #claim(container: string): string {
    const units = [...this.#offer.groups.map(([first]) => first), ...this.#offer.mdevs];
    const unit = this.#chance.pick(units) ?? '';
    this.#serves.set(unit, container);
    return `${unit} goes to ${container}`;
  }

  #rename(container: ContainerModel): string {
    const from = container.name;
    this.#renames += 1;
    container.name = `r${this.#renames}`;
    container.formerly = [from];
    for (const [unit, name] of this.#serves) {
      if (name === from) this.#serves.set(unit, container.name);
    }
    return `${from} is renamed ${container.name}`;
  }

  #render(order: <T>(list: readonly T[]) => T[]): readonly { path: string; text: string }[] {
    const documents = order(this.#containers).map((container) => this.#document(container, order));
    const half = Math.ceil(documents.length / 2);
    const text = (list: readonly object[]): string =>
      list.map((each) => JSON.stringify(each)).join('\n---\n');
    return order([
      { path: 'one.yaml', text: text(documents.slice(0, half)) + this.#typo },
      { path: 'two.yaml', text: text(documents.slice(half)) },
    ]);
  }

  #document(container: ContainerModel, order: <T>(list: readonly T[]) => T[]): object {
    const { name, formerly, context, absent, allow } = container;
    const { mode, active } = this.#tracked ? TRACKED : container;
    const devices = [...this.#serves].flatMap(([unit, owner]): object[] => {
      if (owner !== name) return [];
      const group = this.#offer.groups.find(([first]) => first === unit);
      return group ? group.map((pci) => ({ pci })) : [{ mdev: unit }];
    });
    const spec = {
      ...(context === null ? {} : { iommufd: context }),
      dirtyTracking: { mode, active: active && mode !== 'none' },
      ...(allow ? { iova: { allow: [{ start: '0x1000000', last: '0x7fffffff' }] } } : {}),
      ...(formerly.length > 0 ? { formerly } : {}),
      ...(absent ? { state: 'absent' } : {}),
      devices: order(devices),
    };
    return {
      apiVersion: 'autodomain.dev/v1alpha1',
      kind: 'Container',
      metadata: { name },
      spec,
    };
  }
}
