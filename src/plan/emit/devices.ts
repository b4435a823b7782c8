/** Steps that bring devices into a context and let them go. */
import type { DeviceKey } from '../../base/ids.ts';
import { sameRanges } from '../../base/iova.ts';
import { groupOf, type Holding } from '../../graph/query.ts';
import type { Device } from '../../graph/types.ts';
import { driverState } from '../drivers.ts';
import { formatPlace } from '../text.ts';
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
  for (const [key, holding] of world.holdings) {
    const cell = emitter.cells.ofContext(holding.context);
    const device = world.graph.devices.get(key);
    if (!emitter.isOpen(cell)) continue;
    const target = emitter.containerNamed(world.selection.assigned.get(key)?.container);
    const transfers = target !== undefined && target.wanted.spec.context !== holding.context;
    if (!transfers && !world.leaving.has(key)) {
      const here = emitter.containerNamed(holding.device.attachment?.container);
      if (here?.rebuild && device?.kind === 'pci') emitDetach(emitter, key, holding, cell, 'early');
      continue;
    }
    const when = transfers || mustGoFirst(emitter, device, holding) ? 'early' : 'late';
    emitDetach(emitter, key, holding, cell, when);
    emitClose(emitter, key, holding, cell, when);
  }
}

type When = 'early' | 'late';

/** A leaver goes before the new comes only where something new cannot come otherwise. */
function mustGoFirst(emitter: Emitter, device: Device | undefined, holding: Holding): boolean {
  const { world } = emitter;
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
  cell: string,
  when: When,
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
      needs: when === 'early' ? [] : [TOKENS.made(cell)],
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
  cell: string,
  when: When,
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
      needs: [
        `${key} is detached`,
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
