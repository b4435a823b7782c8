/** Steps that allocate, fill, switch and free page tables: the auto-domain decisions as a sequence. */
import type { DeviceKey } from '../../base/ids.ts';
import { newRef } from '../../graph/refs.ts';
import type { Attachment, Device, LiveContainer, ObjectRef } from '../../graph/types.ts';
import type { HwptFlags } from '../../steps/def.ts';
import { type NewHwpt, type Placement, waitedOn } from '../placement.ts';
import { ioasRef } from './containers.ts';
import { type Emitter, type PlacedContainer, TOKENS } from './emitter.ts';

/** Emits the new HWPTs of a container; tracking is switched on while they are idle. */
export function emitNewHwpts(emitter: Emitter, placed: PlacedContainer): void {
  const { context, name: container } = placed.wanted.spec;
  const ioas = ioasRef(placed);
  const lane = emitter.lanes.ofContext(context);
  for (const hwpt of placed.pages.created) {
    const { ref, flags, for: device } = hwpt;
    const iommu = hwpt.iommu?.name ?? null;
    const args = { context, container, ioas, hwpt: ref, flags, for: device.key, iommu };
    emitter.add(
      { kind: 'alloc-hwpt', args },
      {
        cell: placed.cell,
        container,
        why: allocReason(placed, hwpt),
        lane,
        needs: [
          TOKENS.ioasReady(context, container),
          TOKENS.deviceOpen(context, device.key),
          ...(placed.rebuild ? [TOKENS.gone(context, container)] : []),
        ],
        gives: [`${ref} exists`, TOKENS.hwptReady(context, ref)],
      },
    );
    if (placed.wanted.spec.dirtyTracking.active && flags.dirtyTracking) {
      emitSwitch(emitter, placed, ref, 'on');
    }
  }
}

function allocReason(placed: PlacedContainer, hwpt: NewHwpt): string {
  const { mode } = placed.wanted.spec.dirtyTracking;
  const live = placed.wanted.live?.hwpts.size ?? 0;
  if (hwpt.flags.dirtyTracking) return `dirtyTracking is ${mode}`;
  if (mode === 'preferred') return `${hwpt.iommu?.name ?? 'its IOMMU'} cannot track dirty pages`;
  if (hwpt.flags.nesting) return 'nesting is true';
  const [first] = placed.pages.created;
  return live === 0 && first === hwpt
    ? 'no HWPT is there'
    : `no HWPT of ${placed.wanted.spec.name} fits ${hwpt.for.key}`;
}

/** Emits tracking on or off for the HWPTs that stay, as `dirtyTracking.active` says. */
export function emitTracking(emitter: Emitter, placed: PlacedContainer): void {
  const { mode, active } = placed.wanted.spec.dirtyTracking;
  const kept = keptHwpts(placed);
  for (const hwpt of placed.wanted.live?.hwpts.values() ?? []) {
    if (!kept.has(hwpt.ref) || placed.rebuild) continue;
    const on = active && mode !== 'none';
    if (on && hwpt.dirtyTracking === 'capable') emitSwitch(emitter, placed, hwpt.ref, 'on');
    if (!on && hwpt.dirtyTracking === 'active') emitSwitch(emitter, placed, hwpt.ref, 'off');
  }
}

function emitSwitch(
  emitter: Emitter,
  placed: PlacedContainer,
  hwpt: ObjectRef,
  to: 'on' | 'off',
): void {
  const { context, name: container } = placed.wanted.spec;
  emitter.add(
    { kind: 'set-dirty-tracking', args: { context, container, hwpt, active: to === 'on' } },
    {
      cell: placed.cell,
      container,
      why: `dirtyTracking.active is ${placed.wanted.spec.dirtyTracking.active}`,
      lane: emitter.lanes.ofContext(context),
      needs: [`${hwpt} exists`],
      gives: [TOKENS.hwptReady(context, hwpt), TOKENS.made(placed.cell)],
    },
  );
}

/** Emits attach or replace for every group of a container, then its mdevs. */
export function emitAttaches(emitter: Emitter, placed: PlacedContainer): void {
  for (const placement of placed.pages.placements) emitGroup(emitter, placed, placement);
  for (const device of placed.wanted.devices) {
    if (device.kind === 'mdev') emitMdev(emitter, placed, device);
  }
}

function emitGroup(emitter: Emitter, placed: PlacedContainer, placement: Placement): void {
  const { context } = placed.wanted.spec;
  const [target] = placement.candidates;
  const { running } = placement;
  const isOn = new Set(running?.members ?? []);
  if (running !== null && running.from.pt !== target) emitReplace(emitter, placed, placement);
  const pioneer = running === null ? placement.members[0] : undefined;
  for (const { key } of placement.members) {
    if (isOn.has(key)) continue;
    const first = running?.members[0] ?? pioneer?.key ?? key;
    const follows = pioneer !== undefined && pioneer.key !== key && placement.mayNeedAnother;
    attach(emitter, placed, {
      device: key,
      placement,
      fallback: follows ? [fallbackRef(placed, pioneer.key)] : [],
      otherwise: key === pioneer?.key && placement.mayNeedAnother,
      replaces: null,
      alsoMoves: [],
      needs: first === key ? [] : [TOKENS.attached(context, first)],
      gives: [],
    });
  }
}

/** One replace moves every attached mate; those that leave are detached before. */
function emitReplace(emitter: Emitter, placed: PlacedContainer, placement: Placement): void {
  const { running } = placement;
  const [device, ...alsoMoves] = running?.members ?? [];
  if (running === null || device === undefined) return;
  attach(emitter, placed, {
    device,
    placement,
    fallback: [],
    otherwise: false,
    replaces: running.from,
    alsoMoves,
    needs: [],
    gives: [TOKENS.left(placed.wanted.spec.context, running.from.pt)],
  });
}

interface Attaching {
  readonly device: DeviceKey;
  readonly placement: Placement;
  /** Where the first member of the group may have gone instead, if the kernel refused every candidate. */
  readonly fallback: readonly ObjectRef[];
  readonly otherwise: boolean;
  readonly replaces: Attachment | null;
  readonly alsoMoves: readonly DeviceKey[];
  readonly needs: readonly string[];
  readonly gives: readonly string[];
}

function attach(emitter: Emitter, placed: PlacedContainer, attaching: Attaching): void {
  const { context, name: container } = placed.wanted.spec;
  const { device, placement, replaces, alsoMoves } = attaching;
  const { candidates, group } = placement;
  emitter.add(
    {
      kind: 'attach-device',
      args: {
        context,
        container,
        device,
        candidates: [candidates[0], ...candidates.slice(1), ...attaching.fallback],
        otherwise: attaching.otherwise ? otherwiseOf(placed, device, placement) : null,
        replaces,
        alsoMoves,
      },
    },
    {
      cell: placed.cell,
      container,
      why: attachReason(placed, attaching),
      lane: emitter.lanes.ofDevice(device),
      needs: [
        TOKENS.deviceOpen(context, device),
        TOKENS.ioasReady(context, container),
        TOKENS.matesGone(group),
        ...candidates.map((ref) => TOKENS.hwptReady(context, ref)),
        ...attaching.needs,
      ],
      gives: [TOKENS.attached(context, device), TOKENS.made(placed.cell), ...attaching.gives],
    },
  );
}

function otherwiseOf(
  placed: PlacedContainer,
  device: DeviceKey,
  placement: Placement,
): { ioas: ObjectRef; hwpt: ObjectRef; flags: HwptFlags; iommu: string | null } {
  return {
    ioas: ioasRef(placed),
    hwpt: fallbackRef(placed, device),
    flags: placement.need,
    iommu: placement.iommu?.name ?? null,
  };
}

function fallbackRef(placed: PlacedContainer, device: DeviceKey): ObjectRef {
  return newRef(`${placed.wanted.spec.name}.for-${device}`);
}

function attachReason(placed: PlacedContainer, { replaces, placement }: Attaching): string {
  const { name, dirtyTracking } = placed.wanted.spec;
  if (replaces === null) return `serves ${name}`;
  if (replaces.container !== name) return `now serves ${name}`;
  return placement.need.dirtyTracking
    ? `its HWPT cannot track, and dirtyTracking is ${dirtyTracking.mode}`
    : 'its HWPT lacks what is needed';
}

function emitMdev(emitter: Emitter, placed: PlacedContainer, device: Device): void {
  const { context, name: container } = placed.wanted.spec;
  const ioas = ioasRef(placed);
  const holding = emitter.world.holdings.get(device.key);
  const from = holding?.context === context ? holding.device.attachment : null;
  if (from?.pt === ioas) return;
  emitter.add(
    {
      kind: 'attach-device',
      args: {
        context,
        container,
        device: device.key,
        candidates: [ioas],
        otherwise: null,
        replaces: from,
        alsoMoves: [],
      },
    },
    {
      cell: placed.cell,
      container,
      why: from === null ? `serves ${container}` : `now serves ${container}`,
      lane: emitter.lanes.ofDevice(device.key),
      needs: [TOKENS.deviceOpen(context, device.key), TOKENS.ioasReady(context, container)],
      gives: [
        TOKENS.attached(context, device.key),
        TOKENS.made(placed.cell),
        ...(from === null ? [] : [TOKENS.left(context, from.pt)]),
      ],
    },
  );
}

/** HWPTs of a container that devices are on once the plan is applied. */
function keptHwpts({ pages }: PlacedContainer): ReadonlySet<ObjectRef> {
  return new Set(pages.placements.map(({ candidates }) => candidates[0]));
}

/** Emits the end of every live HWPT of a container that no device will be on. */
export function emitFreedHwpts(emitter: Emitter, placed: PlacedContainer): void {
  const { live, spec } = placed.wanted;
  if (live === null) return;
  const kept = placed.rebuild
    ? new Set<ObjectRef>()
    : new Set([...keptHwpts(placed), ...waitedOn(emitter.world, placed.wanted)]);
  freeHwpts(emitter, { ...spec, live, kept, cell: placed.cell });
}

/** Emits the end of the HWPTs of a live container, but for those that are kept. */
export function freeHwpts(
  emitter: Emitter,
  from: {
    readonly context: string;
    readonly live: LiveContainer;
    readonly kept: ReadonlySet<ObjectRef>;
    readonly cell: string;
  },
): void {
  const { context, live, kept, cell } = from;
  for (const hwpt of live.hwpts.keys()) {
    if (kept.has(hwpt)) continue;
    emitter.add(
      { kind: 'destroy-hwpt', args: { context, container: live.name, hwpt } },
      {
        cell,
        container: live.name,
        why: 'no device is on it any more',
        lane: emitter.lanes.ofContext(context),
        needs: [TOKENS.left(context, hwpt)],
        gives: [TOKENS.gone(context, live.name), TOKENS.emptied(context)],
      },
    );
  }
}
