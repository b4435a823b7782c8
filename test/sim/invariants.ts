/**
 * What must hold whatever happens, each as a check of its own. They look at the model's kernel, not
 * at the engine's account of it, wherever the two could differ.
 */
import type { DeviceKey } from '../../src/base/ids.ts';
import type { Attempt } from '../../src/engine/attempt.ts';
import type { Journal } from '../../src/engine/journal.ts';
import type { Machine } from '../../src/kernel/sim/machine.ts';
import type { SimDevice } from '../../src/kernel/sim/objects.ts';
import type { Plan } from '../../src/plan/types.ts';
import type { Config, ContainerSpec } from '../../src/spec/config.ts';
import type { Action } from '../../src/steps/def.ts';
import { undoOf } from '../../src/steps/index.ts';
import type { Effect } from './monitor.ts';

/** Names of the invariants; each has a plant that breaks it. */
export const INVARIANTS = [
  'safety',
  'disruption',
  'flapping',
  'convergence',
  'idempotence',
  'minimality',
  'leaks',
  'honesty',
  'order',
  'tracking',
  'restart',
] as const;

/** The name of an invariant. */
export type Invariant = (typeof INVARIANTS)[number];

type EffectKind = Effect['kind'];

/** What a step may do to which device, undone or not. */
function effectsOf(action: Action): readonly (readonly [EffectKind, DeviceKey])[] {
  switch (action.kind) {
    case 'open-device':
      return [
        ['opened', action.args.device],
        ['closed', action.args.device],
      ];
    case 'close-device':
      return [['closed', action.args.device]];
    case 'detach-device':
      return [['detached', action.args.device]];
    case 'attach-device':
      return action.args.replaces === null
        ? [['attached', action.args.device]]
        : [
            ['replaced', action.args.device],
            ['refused-replace', action.args.device],
          ];
    default:
      return [];
  }
}

/** Safety: what happened to a device was in the plan, or took a step of the plan back. */
export function unplannedEffects(plan: Plan, effects: readonly Effect[]): readonly string[] {
  const allowed = new Set<string>();
  for (const step of plan.steps) {
    const undo = undoOf(step);
    for (const action of undo === null ? [step] : [step, undo]) {
      for (const [kind, device] of effectsOf(action)) allowed.add(`${kind} ${device}`);
    }
  }
  return effects
    .map(({ kind, device }) => `${kind} ${device}`)
    .filter((text) => !allowed.has(text))
    .map((text) => `${text}, and no step of the plan says so`);
}

/** Safety: nothing was written to a device that no config names. */
export function foreignWrites(machine: Machine, claimed: ReadonlySet<string>): readonly string[] {
  return machine.writingCalls.flatMap(({ name, device }) => {
    const written = /^write .*\/([0-9a-f:.]+)\/driver_override$/.exec(name)?.[1] ?? device;
    return written === null || claimed.has(written) ? [] : [`${name} on ${written}`];
  });
}

/** Honesty and convergence: the model's kernel has what the config says, where the plan has no blocker. */
export function unmetIn(machine: Machine, config: Config, plan: Plan): readonly string[] {
  const blocked = new Set(plan.blocked.map(({ container }) => container));
  const held = new Set([...blocked, ...plan.waiting]);
  const open = new Set(
    plan.cells
      .filter(({ containers }) => !containers.some((name) => held.has(name)))
      .flatMap(({ containers }) => containers),
  );
  const misses: string[] = [];
  const ioases = new Map<object, string>();
  const wanted = new Set<string>();
  for (const spec of config.containers) {
    if (spec.state === 'absent') continue;
    for (const claim of spec.claims) {
      if (claim.kind === 'select') continue;
      const key = claim.kind === 'pci' ? claim.pci : claim.mdev;
      wanted.add(key);
      if (!open.has(spec.name)) continue;
      misses.push(...deviceMisses(machine.hardware.devices.get(key), key, spec, ioases));
    }
  }
  if (held.size > 0) return misses;
  const bound = [...machine.hardware.devices.values()].filter((device) => device.bound !== null);
  return [
    ...misses,
    ...bound.filter(({ key }) => !wanted.has(key)).map(({ key }) => `${key} is still held`),
  ];
}

function deviceMisses(
  device: SimDevice | undefined,
  key: string,
  spec: ContainerSpec,
  ioases: Map<object, string>,
): readonly string[] {
  if (!device?.bound) return [`${key} is not open for ${spec.name}`];
  const hwpt = device.group?.hwpt ?? null;
  const ioas = device.group ? hwpt?.ioas : device.ioas;
  if (!ioas || (device.group && !device.group.attached.has(device))) {
    return [`${key} is not attached`];
  }
  const misses: string[] = [];
  const owner = ioases.get(ioas) ?? spec.name;
  ioases.set(ioas, owner);
  if (owner !== spec.name) misses.push(`${key} shares the IOAS of ${owner}`);
  const { mode, active } = spec.dirtyTracking;
  if (hwpt && mode === 'required' && !hwpt.dirty) misses.push(`${key} is not tracked`);
  const mustTrack = mode !== 'none' && (mode === 'required' || hwpt?.iommu.dirty === true);
  if (hwpt && mustTrack && active && !hwpt.tracking) misses.push(`${key}: tracking is off`);
  return misses;
}

/** Tracking: a device that was on a HWPT with tracking switched on is not on one without, while its container wants it. */
export class TrackingWatch {
  readonly #machine: Machine;
  readonly #tracked = new Set<SimDevice>();

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Devices that lost their tracking although nobody asked for it. Called after every system call that changes something. */
  lost(isWanted: (key: DeviceKey) => boolean): readonly string[] {
    const lost: string[] = [];
    for (const device of this.#machine.hardware.devices.values()) {
      const hwpt = device.group?.attached.has(device) ? device.group.hwpt : null;
      if (hwpt?.tracking) this.#tracked.add(device);
      else if (this.#tracked.delete(device) && hwpt && isWanted(device.key)) {
        lost.push(`${device.key} moved to a HWPT that does not record what it writes`);
      }
    }
    return lost;
  }
}

/**
 * Disruption: each device is opened, closed and taken off its HWPT at most once for one revision of the
 * config. A detach that a rollback took back is not counted: it is the price of all or nothing.
 */
export class DisruptionCount {
  readonly #counts = new Map<string, number>();
  /** What each device was attached to before the attempt that runs. */
  #before = new Map<DeviceKey, object>();
  readonly #machine: Machine;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** A new revision: everything may be disrupted once more. */
  newRevision(): void {
    this.#counts.clear();
  }

  /** The world did something to a device: what we do about it does not count. */
  forgive(device: DeviceKey): void {
    const group = this.#machine.hardware.devices.get(device)?.group;
    for (const key of [device, ...(group?.members ?? []).map((mate) => mate.key)]) {
      for (const kind of ['opened', 'closed', 'detached']) this.#counts.delete(`${kind} ${key}`);
    }
  }

  /** Counts what an attempt did and says what was too much. */
  tooMany(effects: readonly Effect[]): readonly string[] {
    const now = this.#attached();
    const over: string[] = [];
    for (const { kind, device } of effects) {
      const before = this.#before.get(device);
      const stopped = kind === 'detached' && before !== undefined && now.get(device) !== before;
      if (kind !== 'opened' && kind !== 'closed' && !stopped) continue;
      const key = `${kind} ${device}`;
      const times = (this.#counts.get(key) ?? 0) + 1;
      this.#counts.set(key, times);
      if (times > 1) over.push(`${device} was ${kind} ${times} times for one revision`);
    }
    this.#before = now;
    return over;
  }

  #attached(): Map<DeviceKey, object> {
    const attached = new Map<DeviceKey, object>();
    for (const device of this.#machine.hardware.devices.values()) {
      const on = device.group?.attached.has(device) ? device.group.hwpt : device.ioas;
      if (on) attached.set(device.key, on);
    }
    return attached;
  }
}

/** Honesty: an attempt that says `applied` without drift left the kernel as its plan expects. */
export function claimsTooMuch(attempt: Attempt, journal: Journal, machine: Machine): string | null {
  const applied = attempt.result.cells.every(({ result }) => result === 'applied');
  if (!applied || attempt.drift.length > 0) return null;
  for (const context of journal.contexts()) {
    for (const { key, pt } of context.devices) {
      const device = machine.hardware.devices.get(key);
      const group = device?.group ?? null;
      const on = group?.attached.has(device as SimDevice) ? group.hwpt?.id : device?.ioas?.id;
      if ((on ?? null) !== pt) return `${key} is on ${on ?? 'nothing'}, said to be on ${pt}`;
    }
  }
  return null;
}
