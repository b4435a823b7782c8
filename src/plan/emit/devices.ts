/** Steps that bring devices into a context and let them go. */
import type { DeviceKey } from '../../base/ids.ts';
import { sameRanges } from '../../base/iova.ts';
import { groupOf, type Holding } from '../../graph/query.ts';
import { cellOfLeave } from '../cells.ts';
import { driverState } from '../drivers.ts';
import type { Scope } from '../scope.ts';
import type { Token } from '../step-list.ts';
import { formatPlace } from '../text.ts';
import type { World } from '../world.ts';
import { type Emitter, type PlacedContainer, TOKENS } from './emitter.ts';

/** Emits driver, open and bind for every device of a container that is not in its context yet. */
export function emitOpens(emitter: Emitter, { wanted, cell }: PlacedContainer): void {
  const { spec } = wanted;
  for (const device of wanted.devices) {
    const holding = emitter.world.holdings.get(device.key);
    if (holding?.context === spec.context) continue;
    const lane = emitter.lanes.ofDevice(device.key);
    const place = emitter.world.selection.assigned.get(device.key)?.place ?? spec.place;
    const why = `claimed by ${spec.name} (${formatPlace(place)})`;
    const driver = driverState(device, spec.driver);
    if (holding === undefined && driver.state === 'bind' && device.kind === 'pci') {
      emitter.add(
        { kind: 'bind-driver', args: { device: device.key, driver: driver.driver } },
        {
          cell,
          container: spec.name,
          why: 'it has no driver',
          lane,
          gives: [TOKENS.driverBound(device.key)],
        },
      );
    }
    const group = groupOf(device);
    emitter.add(
      { kind: 'open-device', args: { context: spec.context, device: device.key } },
      {
        cell,
        container: spec.name,
        why,
        lane,
        needs: [
          TOKENS.contextOpen(spec.context),
          TOKENS.driverBound(device.key),
          ...(group === null ? [`${device.key} is closed`] : [TOKENS.groupClosed(group)]),
        ],
        gives: [TOKENS.deviceOpen(spec.context, device.key), TOKENS.made(cell)],
      },
    );
  }
}

/** Emits detach and close of every device that leaves the host's containers or goes to another context. */
export function emitLeaves(emitter: Emitter): void {
  const { world } = emitter;
  for (const [key, renamed] of world.holdings) {
    const own = emitter.cells.ofContext(renamed.context);
    const isOpen = (cell: string): boolean => emitter.isOpen(cell);
    const cell = cellOfLeave(key, own, world.selection.going, isOpen);
    if (cell === null || isStuck(world, key, renamed)) continue;
    // In a cell that is blocked nothing is renamed either.
    const holding = cell === own ? renamed : beforeRename(renamed, world.scope.renames);
    const target = emitter.containerNamed(world.selection.assigned.get(key)?.container);
    if (target !== undefined && target.wanted.spec.context !== holding.context) {
      // What can fail without touching the device comes first: a retry must not stop it again.
      const leave: Leave = { cell, when: 'early', first: [TOKENS.ioasesExist(cell)] };
      emitDetach(emitter, key, holding, leave);
      emitClose(emitter, key, holding, leave);
    } else if (world.leaving.has(key)) {
      const when = mustGoFirst(emitter, key, holding) ? 'early' : 'late';
      emitDetach(emitter, key, holding, { cell, when, first: [] });
      emitClose(emitter, key, holding, { cell, when, first: [] });
    } else {
      emitRebuild(emitter, key, holding, cell);
    }
  }
}

/** Even a device that is being removed waits for the call that has it. */
function isStuck({ untouchable }: World, key: DeviceKey, { context }: Holding): boolean {
  return untouchable.ofContext(context).length > 0 || untouchable.ofDevice(key).length > 0;
}

function beforeRename(holding: Holding, renames: Scope['renames']): Holding {
  const rename = renames.find(({ args }) => args.toContext === holding.context);
  return rename === undefined ? holding : { ...holding, context: rename.args.context };
}

/** A container whose IOAS must be empty for a while lets its devices go and takes them back. */
function emitRebuild(emitter: Emitter, key: DeviceKey, holding: Holding, cell: string): void {
  const here = emitter.containerNamed(holding.device.attachment?.container);
  if (!here?.rebuild || emitter.world.graph.devices.get(key)?.kind !== 'pci') return;
  emitDetach(emitter, key, holding, { cell, when: 'early', first: [] });
}

/** How a device leaves: `early` before what is new is made, but after `first`; `late` once it is there. */
interface Leave {
  readonly cell: string;
  readonly when: 'early' | 'late';
  readonly first: readonly Token[];
}

/** A leaver goes before the new comes only where something new cannot come otherwise, or where somebody waits for it in the kernel. */
function mustGoFirst(emitter: Emitter, key: DeviceKey, holding: Holding): boolean {
  const { world } = emitter;
  if (world.selection.going.has(key)) return true;
  const device = world.graph.devices.get(key);
  const group = device ? groupOf(device) : null;
  const members = group === null ? [] : (world.graph.groups.get(group)?.members ?? []);
  if (members.some((mate) => world.selection.assigned.has(mate))) return true;
  const stays = emitter.containerNamed(holding.device.attachment?.container);
  if (!stays) return false;
  return !sameRanges(stays.wanted.live?.allow ?? [], stays.wanted.spec.iova.allow);
}

function emitDetach(
  emitter: Emitter,
  key: DeviceKey,
  holding: Holding,
  { cell, when, first }: Leave,
): void {
  const { attachment } = holding.device;
  if (attachment === null) return;
  const device = emitter.world.graph.devices.get(key);
  const group = device ? groupOf(device) : null;
  const container = attachment.container;
  emitter.add(
    { kind: 'detach-device', args: { context: holding.context, device: key, from: attachment } },
    {
      cell,
      container,
      why: leaveReason(emitter, key, container),
      lane: emitter.lanes.ofDevice(key),
      isRemoval: emitter.world.selection.going.has(key),
      needs: when === 'early' ? first : [TOKENS.made(cell)],
      gives: [
        TOKENS.left(holding.context, attachment.pt),
        TOKENS.allowChangeable(container),
        `${key} is detached`,
        ...(group === null ? [] : [TOKENS.matesGone(group)]),
      ],
    },
  );
}

function emitClose(
  emitter: Emitter,
  key: DeviceKey,
  holding: Holding,
  { cell, when, first }: Leave,
): void {
  const device = emitter.world.graph.devices.get(key);
  const group = device ? groupOf(device) : null;
  const container = holding.device.attachment?.container ?? null;
  emitter.add(
    { kind: 'close-device', args: { context: holding.context, device: key } },
    {
      cell,
      container,
      why: leaveReason(emitter, key, container),
      lane: emitter.lanes.ofDevice(key),
      isRemoval: emitter.world.selection.going.has(key),
      needs: [
        `${key} is detached`,
        ...first,
        ...(when === 'late' && holding.device.attachment === null ? [TOKENS.made(cell)] : []),
      ],
      gives: [
        `${key} is closed`,
        TOKENS.emptied(holding.context),
        ...(group === null ? [] : [TOKENS.groupClosed(group)]),
      ],
    },
  );
}

function leaveReason(emitter: Emitter, key: DeviceKey, container: string | null): string {
  const { assigned, going } = emitter.world.selection;
  if (going.has(key)) return 'it is being removed from the host';
  const assignment = assigned.get(key);
  if (assignment !== undefined && assignment.container === container) {
    const target = emitter.containerNamed(container);
    return target?.rebuild
      ? `${container} is emptied, so that its huge-page option can change`
      : `${container} goes to context ${target?.wanted.spec.context ?? '?'}`;
  }
  if (assignment) return `goes to ${assignment.container} (${formatPlace(assignment.place)})`;
  return container === null ? 'no container claims it' : `${container} no longer claims it`;
}
