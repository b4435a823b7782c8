/**
 * One action that was begun and never ended, after a crash: finished or taken back, whichever cannot stop DMA
 * that ran before. Each can be settled again: whoever dies in the middle leaves it to the next.
 */
import type { DeviceKey, HwptId, IoasId } from '../base/ids.ts';
import type { HeldContext, HeldDevice, ObjectRef } from '../graph/types.ts';
import { getHugePages, setDirtyTracking } from '../kernel/iommufd.ts';
import type { Fd } from '../kernel/port.ts';
import { classify } from '../kernel/probe.ts';
import { attachPt, detachPt } from '../kernel/vfio.ts';
import type { Action, ActionOf, StepKind } from '../steps/def.ts';
import { undoOf } from '../steps/index.ts';
import type { RunContext } from './run/context.ts';
import { driverOf } from './run/driver.ts';
import { runAction } from './run/index.ts';

/** What was done about an action, in a word or two for the log; null: there was nothing to do. */
export type Settled = string | null;

type Settler<K extends StepKind> = (action: ActionOf<K>, run: RunContext) => Promise<Settled>;

/** Settles an action. Throws KernelError or SyscallError: then it stands as it stood, and the probes have the word. */
export async function settle(action: Action, run: RunContext): Promise<Settled> {
  if (isMoot(action, run)) return null;
  return (SETTLERS[action.kind] as Settler<StepKind>)(action, run);
}

/** Is its context gone, or the device in it, or an object that it names? Then nothing of it can be left. */
function isMoot({ kind, args }: Action, run: RunContext): boolean {
  if (!('context' in args)) return false;
  if (kind === 'open-context' || kind === 'open-device') return true;
  const context = contextOf(run, args.context);
  if (context === undefined) return true;
  if ('device' in args && !context.devices.some(({ key }) => key === args.device)) return true;
  const named = [
    ...('ioas' in args && kind !== 'alloc-ioas' ? [args.ioas] : []),
    ...('hwpt' in args && kind !== 'alloc-hwpt' ? [args.hwpt] : []),
  ];
  return named.some((ref) => run.journal.resolve(context.name, ref) === null);
}

const again = async (action: Action, run: RunContext): Promise<Settled> => {
  await runAction(action, run);
  return 'finished';
};

/** What it made without a word of it is closed with its file, or freed as a stray. */
const nothing = async (): Promise<Settled> => null;

const SETTLERS: { readonly [K in StepKind]: Settler<K> } = {
  'open-context': nothing,
  'open-device': nothing,
  'alloc-ioas': nothing,
  'alloc-hwpt': nothing,
  'bind-driver': settleDriver,
  'release-driver': again,
  'rename-container': settleRename,
  'attach-device': settleAttach,
  'detach-device': again,
  'set-dirty-tracking': settleTracking,
  'set-huge-pages': settleHugePages,
  'allow-iovas': again,
  'close-device': again,
  'close-context': again,
  'destroy-hwpt': settleDestroy,
  'destroy-ioas': settleDestroy,
};

function contextOf(run: RunContext, name: string): HeldContext | undefined {
  return run.journal.contexts().find((context) => context.name === name);
}

function fdOf(run: RunContext, context: string): Fd {
  return contextOf(run, context)?.fd as Fd;
}

function deviceOf(run: RunContext, context: string, key: DeviceKey): HeldDevice | undefined {
  return contextOf(run, context)?.devices.find((device) => device.key === key);
}

/** An override without its driver would keep the native driver away for ever. */
async function settleDriver(action: ActionOf<'bind-driver'>, run: RunContext): Promise<Settled> {
  const undo = undoOf(action);
  if (undo === null || driverOf(run.syscalls, action.args.device) !== null) return null;
  await runAction(undo, run);
  return 'taken back';
}

async function settleRename(
  { args }: ActionOf<'rename-container'>,
  { journal }: RunContext,
): Promise<Settled> {
  const context = journal.contexts().find(({ name }) => name === args.context);
  if (context?.containers.some(({ name }) => name === args.from)) {
    const change = { name: args.to };
    journal.record(args.context, { kind: 'container-changed', container: args.from, change });
  }
  if (args.toContext !== args.context) {
    journal.record(args.context, { kind: 'context-renamed', to: args.toContext });
  }
  return 'finished';
}

/** A replace is made again: it changes nothing where it was done. A first attach is taken back: nothing ran yet. */
async function settleAttach(
  { args }: ActionOf<'attach-device'>,
  run: RunContext,
): Promise<Settled> {
  const { syscalls, journal } = run;
  const { context, device } = args;
  const held = deviceOf(run, context, device);
  const fd = held?.fd as Fd;
  if (args.replaces === null) {
    if (held?.pt !== null) return 'was finished';
    await detachPt(syscalls, fd);
    journal.record(context, { kind: 'detached', device });
    return 'taken back';
  }
  const pt = journal.resolve(context, args.candidates[0]) as HwptId | IoasId | null;
  if (pt === null) return null;
  await attachPt(syscalls, fd, pt);
  journal.record(context, { kind: 'attached', devices: [device, ...args.alsoMoves], pt });
  return 'finished';
}

/** Switching on again would forget what was recorded since, so it is done only where the journal does not say so. */
async function settleTracking(
  action: ActionOf<'set-dirty-tracking'>,
  run: RunContext,
): Promise<Settled> {
  const { context, hwpt: ref, active } = action.args;
  const id = run.journal.resolve(context, ref);
  const hwpts = contextOf(run, context)?.containers.flatMap(({ hwpts }) => hwpts) ?? [];
  const is = hwpts.find((hwpt) => hwpt.id === id)?.dirtyTracking;
  if (is === (active ? 'active' : 'capable')) return 'was finished';
  await setDirtyTracking(run.syscalls, fdOf(run, context), id as HwptId, active);
  run.journal.record(context, { kind: 'hwpt-changed', hwpt: id as HwptId, active });
  return 'finished';
}

async function settleHugePages(
  { args }: ActionOf<'set-huge-pages'>,
  run: RunContext,
): Promise<Settled> {
  const { context, container } = args;
  const ioas = run.journal.resolve(context, args.ioas) as IoasId;
  const hugePages = getHugePages(run.syscalls, fdOf(run, context), ioas);
  run.journal.record(context, { kind: 'container-changed', container, change: { hugePages } });
  return 'read anew';
}

/**
 * Nobody allocates in a context while something of it is freed, but a bind takes the lowest free id at any
 * time: so an id behind which there is no longer what it was, was freed by us.
 */
async function settleDestroy(
  action: ActionOf<'destroy-hwpt'> | ActionOf<'destroy-ioas'>,
  run: RunContext,
): Promise<Settled> {
  const { context, container } = action.args;
  const isHwpt = action.kind === 'destroy-hwpt';
  const ref: ObjectRef = isHwpt ? action.args.hwpt : action.args.ioas;
  const id = run.journal.resolve(context, ref) as number;
  const containers = contextOf(run, context)?.containers ?? [];
  const isKnown = containers.some(({ ioas, hwpts }) =>
    isHwpt ? hwpts.some((hwpt) => hwpt.id === id) : ioas === id,
  );
  if (!isKnown) return 'was finished';
  const found = classify(run.syscalls, fdOf(run, context), id, isHwpt ? 'hwpt' : 'ioas');
  if (found === 'ioas' || found === 'hwpt' || found === 'hwpt-dirty') return 'not begun';
  if (isHwpt) run.journal.record(context, { kind: 'hwpt-destroyed', hwpt: id as HwptId });
  else run.journal.record(context, { kind: 'ioas-destroyed', container });
  return 'finished';
}
