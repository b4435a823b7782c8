/**
 * Runs `attach-device` and `detach-device`. This is the auto-domain attach, and the only place
 * where the kernel's answer chooses: EINVAL means the next candidate, then another HWPT of the
 * container that somebody allocated meanwhile, then a new one, which is freed again if even that
 * is refused. A group that runs has one candidate and no second try, because on Intel even a
 * refused replace interrupts its DMA.
 */
import { assert } from '../../base/assert.ts';
import type { HwptId, IoasId } from '../../base/ids.ts';
import { idRef } from '../../graph/refs.ts';
import type { HeldHwpt } from '../../graph/types.ts';
import { KernelError } from '../../kernel/call.ts';
import { destroy } from '../../kernel/iommufd.ts';
import type { Fd } from '../../kernel/port.ts';
import { attachPt, detachPt } from '../../kernel/vfio.ts';
import { hasProperties } from '../../plan/compatible.ts';
import type { StepFields } from '../../steps/def.ts';
import { allocateFor } from './allocate.ts';
import {
  contextFd,
  heldContext,
  heldDevice,
  type RunContext,
  type Runner,
  retrying,
  type StepDetail,
  WHILE_RACING,
  WHILE_RESETTING,
} from './context.ts';

type AttachArgs = StepFields['attach-device'];
type PageTableId = HwptId | IoasId;

/** EBUSY passes when the reset of a group member ends (7.0 and later) or a detach that races is done. */
const ATTACH_RETRY = { ...WHILE_RESETTING, errnos: ['EBUSY'] };

/** Attaches a device, or replaces what it and its mates are on. */
export const attachDevice: Runner<'attach-device'> = async (args, run) => {
  const tried = new Set<PageTableId>();
  let refusal: unknown = null;
  for (const id of candidateIds(args, run)) {
    tried.add(id);
    refusal = await tryAttach(args, run, id);
    if (refusal === null) return tried.size === 1 ? undefined : chosen(id);
  }
  if (args.otherwise === null) throw refusal;
  const fallback = { ...args, otherwise: args.otherwise };
  return run.exclusive(args.context, () => attachOtherwise(fallback, run, tried));
};

/** Detaches a device. The kernel answers 0 also where nothing was attached. */
export const detachDevice: Runner<'detach-device'> = async ({ context, device }, run) => {
  const { fd } = heldDevice(run, context, device);
  await detachPt(run.syscalls, fd as Fd);
  run.journal.record(context, { kind: 'detached', device });
  return undefined;
};

/** The last candidate of a group mate may be the HWPT that the first member fell back on, which exists only if it did. */
function candidateIds({ context, candidates }: AttachArgs, run: RunContext): PageTableId[] {
  const ids = candidates.map((ref) => run.journal.resolve(context, ref));
  assert(ids[0] !== null, `candidate ${candidates[0]} exists`);
  return ids.filter((id): id is PageTableId => id !== null);
}

/** Null: attached. An EINVAL comes back as the value, because it only means `not this one`. */
async function tryAttach(
  args: AttachArgs,
  run: RunContext,
  pt: PageTableId,
): Promise<KernelError | null> {
  const { fd } = heldDevice(run, args.context, args.device);
  try {
    await retrying(run, ATTACH_RETRY, () => attachPt(run.syscalls, fd as Fd, pt));
  } catch (error) {
    if (error instanceof KernelError && error.errno === 'EINVAL') return error;
    throw error;
  }
  const devices = [args.device, ...args.alsoMoves];
  run.journal.record(args.context, { kind: 'attached', devices, pt });
  return null;
}

async function attachOtherwise(
  args: AttachArgs & { readonly otherwise: NonNullable<AttachArgs['otherwise']> },
  run: RunContext,
  tried: Set<PageTableId>,
): Promise<StepDetail> {
  const { otherwise } = args;
  for (const hwpt of hwptsOf(args, run)) {
    if (tried.has(hwpt.id) || !hasProperties(hwpt, otherwise.flags)) continue;
    if ((await tryAttach(args, run, hwpt.id)) === null) return chosen(hwpt.id);
  }
  const hwpt = await allocateFor(run, { ...args, ...otherwise });
  const refusal = await tryAttach(args, run, hwpt).catch((error: unknown) => error);
  if (refusal === null) {
    const allocated = { container: args.container, hwpt: idRef(hwpt) };
    return { text: `no candidate fitted: allocated HWPT ${hwpt}`, allocated };
  }
  await retrying(run, WHILE_RACING, () =>
    destroy(run.syscalls, contextFd(run, args.context), hwpt),
  );
  run.journal.record(args.context, { kind: 'hwpt-destroyed', hwpt });
  throw refusal;
}

function hwptsOf({ context, container }: AttachArgs, run: RunContext): readonly HeldHwpt[] {
  const { containers } = heldContext(run, context);
  return containers.find((each) => each.name === container)?.hwpts ?? [];
}

function chosen(id: PageTableId): StepDetail {
  return { text: `the kernel refused an earlier candidate: on HWPT ${id}`, allocated: null };
}
