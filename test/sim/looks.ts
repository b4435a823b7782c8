/** What the simulation looks at before and after: plans as text, attachments, devices of actions. */
import type { DeviceKey } from '../../src/base/ids.ts';
import type { WatchEvent } from '../../src/daemon/loop.ts';
import { type Attempt, planAttempt } from '../../src/engine/attempt.ts';
import type { ManagedHost } from '../../src/engine/host.ts';
import { formatCell } from '../../src/engine/report.ts';
import type { Machine } from '../../src/kernel/sim/machine.ts';
import { DEFAULT_OPTIONS } from '../../src/plan/planner-options.ts';
import type { Plan } from '../../src/plan/types.ts';
import type { Config } from '../../src/spec/config.ts';
import type { SourceFile } from '../../src/spec/text.ts';
import type { Action } from '../../src/steps/def.ts';
import { describeAction } from '../../src/steps/index.ts';

/** The plan for a config, as text that two orders of the same documents must share. */
export function planOf(host: ManagedHost, config: Config | null): string {
  if (config === null) return 'not valid';
  const { plan } = planAttempt(host, config, { ...DEFAULT_OPTIONS, removalsAllowed: 99 });
  return JSON.stringify([
    plan.steps.map(describeAction),
    plan.blocked.map(({ kind, container }) => [kind, container]),
  ]);
}

/** What each device is attached to, as the model's kernel has it. */
export function attachments(machine: Machine): ReadonlyMap<DeviceKey, object> {
  const attached = new Map<DeviceKey, object>();
  for (const device of machine.hardware.devices.values()) {
    const on = device.group?.attached.has(device) ? device.group.hwpt : device.ioas;
    if (on) attached.set(device.key, on);
  }
  return attached;
}

/** The devices that actions are about. */
export function devicesOf(actions: readonly Action[]): ReadonlySet<DeviceKey> {
  return new Set(
    actions.flatMap(({ args }) => [
      ...('device' in args ? [args.device] : []),
      ...('alsoMoves' in args ? args.alsoMoves : []),
    ]),
  );
}

/** Devices that were attached and are not on the same any more, but for those that an action was about. */
export function lostSince(
  machine: Machine,
  before: ReadonlyMap<DeviceKey, object>,
  pending: ReadonlySet<DeviceKey>,
): readonly DeviceKey[] {
  const after = attachments(machine);
  return [...before]
    .filter(([device, on]) => !pending.has(device) && after.get(device) !== on)
    .map(([device]) => device);
}

/** Devices of containers that ask for tracking to be switched on. */
export function activelyTracked(config: Config | null): ReadonlySet<string> {
  const active = new Set<string>();
  for (const { dirtyTracking, claims } of config?.containers ?? []) {
    if (!dirtyTracking.active || dirtyTracking.mode === 'none') continue;
    for (const claim of claims) if (claim.kind === 'pci') active.add(claim.pci);
  }
  return active;
}

/** Files as a source gives them, each text changed on the way. */
export function inBytes(
  files: readonly { readonly path: string; readonly text: string }[],
  change: (text: string) => string,
): readonly SourceFile[] {
  return files.map(({ path, text }) => ({ path, bytes: new TextEncoder().encode(change(text)) }));
}

/** What an attempt planned and came to, a line each. */
export function attemptLines(attempt: Attempt, plan: Plan): readonly string[] {
  return [
    ...plan.steps.map((step) => `  ${step.id} ${describeAction(step)}`),
    ...attempt.result.cells.map((cell) => `  ${formatCell(cell)}`),
    ...attempt.drift.map(({ text }) => `  not as planned: ${text}`),
  ];
}

/** Changes nothing. */
export function same(text: string): string {
  return text;
}

/** Does a cell wait after a failure? */
export function isHeld(event: WatchEvent): boolean {
  return (
    event.kind === 'blocked' && [...event.judgements.values()].some(({ state }) => state === 'held')
  );
}
