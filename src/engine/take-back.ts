/**
 * Takes a context back from consumers that have ended. Whatever they did in it (maps, page tables,
 * options, allocations) is unknown, so nothing of it is kept: DMA is stopped first, then every device is
 * detached and closed, which resets it, and the context is closed, which unmaps and frees the rest. The
 * next attempt builds it anew. Not here: when a consumer has ended (daemon/hand-over).
 */

import { isBdf } from '../base/ids.ts';
import type { HeldDevice } from '../graph/types.ts';
import { KernelError } from '../kernel/call.ts';
import type { Fd } from '../kernel/port.ts';
import { SyscallError } from '../kernel/port.ts';
import { canReset, detachPt, setBusMaster } from '../kernel/vfio.ts';
import { formatFailure } from './report.ts';
import { heldContext, type RunContext } from './run/context.ts';
import { runAction } from './run/index.ts';

/** What taking back came to. */
export interface TakenBack {
  readonly context: string;
  /** Devices that could not be reset, with the reason. */
  readonly tainted: readonly string[];
  /** What did not work, in words. */
  readonly troubles: readonly string[];
}

/** Takes the context back. Never throws for a refusal of the kernel: a device that cannot be stopped is tainted. */
export async function takeBack(context: string, run: RunContext): Promise<TakenBack> {
  const troubles: string[] = [];
  const { devices } = heldContext(run, context);
  const attempt = async (
    what: string,
    work: () => Promise<unknown> | unknown,
  ): Promise<boolean> => {
    try {
      await work();
      return true;
    } catch (error) {
      if (!(error instanceof KernelError || error instanceof SyscallError)) throw error;
      troubles.push(`${what}: ${formatFailure(error)}`);
      return false;
    }
  };
  for (const device of devices) {
    if (isBdf(device.key)) {
      await attempt(`stop DMA of ${device.key}`, () =>
        setBusMaster(run.syscalls, device.fd as Fd, false),
      );
    }
    // Written down before the close: whoever continues after a crash must not hand the device on.
    const why = taintOf(run, device);
    if (why !== null) run.journal.taint(device.key, why);
  }
  await Promise.all(
    devices.map(async ({ key: device, fd, pt }) => {
      if (pt !== null) {
        await attempt(`detach ${device}`, async () => {
          await detachPt(run.syscalls, fd as Fd);
          run.journal.record(context, { kind: 'detached', device });
        });
      }
      const closed = await attempt(`close ${device}`, () =>
        runAction({ kind: 'close-device', args: { context, device } }, run),
      );
      if (!closed) run.journal.taint(device, 'could not be closed');
    }),
  );
  await attempt(`close context ${context}`, () =>
    runAction({ kind: 'close-context', args: { context } }, run),
  );
  const { journal } = run;
  const tainted = devices.flatMap(({ key }) => (journal.tainted().has(key) ? [key] : []));
  return { context, tainted, troubles };
}

/** Why a device must not go to anybody else as it is; null: its close resets it. */
function taintOf(run: RunContext, { fd }: HeldDevice): string | null {
  try {
    return canReset(run.syscalls, fd as Fd) ? null : 'has no working reset';
  } catch (error) {
    return `could not be asked whether it can be reset (${formatFailure(error)})`;
  }
}
