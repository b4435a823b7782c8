/** What every emitter works with: the world, where steps go, and the words by which they are ordered. */
import type { DeviceKey, GroupId } from '../../base/ids.ts';
import type { ObjectRef } from '../../graph/types.ts';
import type { Action } from '../../steps/def.ts';
import type { Cells } from '../cells.ts';
import type { Lanes } from '../lanes.ts';
import { type ContainerPlacement, placeContainer } from '../placement.ts';
import { mustRebuild } from '../rules/iova.ts';
import type { Emission, Token } from '../step-list.ts';
import type { Wanted, World } from '../world.ts';

/** The words. Each says what is true once it is given. */
export const TOKENS = {
  contextOpen: (context: string): Token => `context ${context} is open`,
  driverBound: (device: DeviceKey): Token => `${device} is on its driver`,
  deviceOpen: (context: string, device: DeviceKey): Token => `${device} is open in ${context}`,
  groupClosed: (group: GroupId): Token => `group ${group} is closed where it was`,
  matesGone: (group: GroupId): Token => `mates that leave group ${group} are detached`,
  ioasReady: (context: string, container: string): Token => `IOAS ${context}/${container} is ready`,
  ioasesExist: (cell: string): Token => `${cell} has every IOAS`,
  allowChangeable: (container: string): Token =>
    `devices that cut the allow list of ${container} left`,
  hwptReady: (context: string, hwpt: ObjectRef): Token => `page table ${context}/${hwpt} is ready`,
  attached: (context: string, device: DeviceKey): Token => `${device} is attached in ${context}`,
  left: (context: string, pt: ObjectRef): Token => `a device left page table ${context}/${pt}`,
  gone: (context: string, container: string): Token =>
    `page tables of ${context}/${container} are freed`,
  emptied: (context: string): Token => `a part of context ${context} is gone`,
  made: (cell: string): Token => `${cell} has what is new`,
  leaving: (cell: string): Token => `${cell} has begun to let go`,
} as const;

/** Arguments of `Emitter.add` beyond the action. */
export interface Placing {
  readonly cell: string;
  readonly container: string | null;
  readonly why: string;
  readonly lane: string;
  readonly needs?: readonly Token[];
  readonly gives?: readonly Token[];
  /** It lets go of a device that is being removed from the host. */
  readonly isRemoval?: boolean;
}

/** A container with its page tables, as the emitters see it. */
export interface PlacedContainer {
  readonly wanted: Wanted;
  readonly cell: string;
  readonly rebuild: boolean;
  readonly pages: ContainerPlacement;
}

/** Collects the steps of all cells that nothing blocks. */
export class Emitter {
  readonly world: World;
  readonly cells: Cells;
  readonly lanes: Lanes;
  readonly containers: readonly PlacedContainer[];
  readonly #byName: ReadonlyMap<string, PlacedContainer>;
  readonly emissions: Emission[] = [];
  readonly #blockedCells: ReadonlySet<string>;

  constructor(world: World, cells: Cells, lanes: Lanes, blockedCells: ReadonlySet<string>) {
    this.world = world;
    this.cells = cells;
    this.lanes = lanes;
    this.#blockedCells = blockedCells;
    this.containers = world.wanted.flatMap((wanted) => {
      const cell = cells.ofContainer(wanted.spec.name);
      if (blockedCells.has(cell)) return [];
      const rebuild = mustRebuild(wanted);
      const pages = placeContainer(world, wanted, rebuild ? 'rebuild' : 'keep');
      return [{ wanted, cell, rebuild, pages }];
    });
    this.#byName = new Map(this.containers.map((each) => [each.wanted.spec.name, each]));
  }

  /** The wanted container of that name, if nothing blocks its cell. */
  containerNamed(name: string | undefined): PlacedContainer | undefined {
    return name === undefined ? undefined : this.#byName.get(name);
  }

  /** True where steps of the cell are planned. */
  isOpen(cell: string): boolean {
    return !this.#blockedCells.has(cell);
  }

  add(action: Action, placing: Placing): void {
    this.emissions.push({ needs: [], gives: [], ...placing, action });
  }
}
