/**
 * Objects of a context that the journal does not know. An allocation that was under way when the process died
 * explains one of its kind, which is freed; what nothing explains is left alone, and is a doubt.
 */
import type { HwptId } from '../base/ids.ts';
import type { HeldContext } from '../graph/types.ts';
import { KernelError } from '../kernel/call.ts';
import { destroy } from '../kernel/iommufd.ts';
import type { Fd, Syscalls } from '../kernel/port.ts';
import { classify } from '../kernel/probe.ts';
import type { Action } from '../steps/def.ts';
import { type RunContext, retrying, WHILE_RACING } from './run/context.ts';

/** An object that nobody wrote down. */
export interface Stray {
  readonly id: number;
  readonly type: 'ioas' | 'hwpt' | 'device';
}

/** Ids are given out lowest first, so a longer run of free ones ends the context; mdevs look free on 6.12. */
const FREE_IDS_MAX = 64;
const FREE_ATTEMPTS_MAX = 3;

/** The objects of a context that its journal does not know, in the order in which they can be freed. */
export function straysOf(syscalls: Syscalls, context: HeldContext): readonly Stray[] {
  const known = new Set<number>([
    ...context.containers.flatMap(({ ioas, hwpts }) => [ioas, ...hwpts.map(({ id }) => id)]),
    ...context.devices.map(({ devId }) => devId),
  ]);
  const last = Math.max(0, ...known);
  const strays: Stray[] = [];
  for (let id = 1, free = 0; id <= last || free < FREE_IDS_MAX; id += 1) {
    if (known.has(id)) continue;
    const found = classify(syscalls, context.fd as Fd, id);
    free = found === 'untyped' ? free + 1 : 0;
    if (found !== 'untyped') strays.push({ id, type: found === 'hwpt-dirty' ? 'hwpt' : found });
  }
  // A HWPT holds its IOAS.
  return strays.sort((a, b) => Number(a.type === 'ioas') - Number(b.type === 'ioas'));
}

/** Can the actions that were under way have made all of these, and nothing else? */
export function explains(actions: readonly Action[], strays: readonly Stray[]): boolean {
  const made = { ioas: 0, hwpt: 0, device: 0 };
  for (const action of actions) {
    if (action.kind === 'alloc-ioas') made.ioas += 1;
    if (action.kind === 'alloc-hwpt') made.hwpt += 1;
    if (action.kind === 'attach-device' && action.args.otherwise !== null) made.hwpt += 1;
  }
  for (const { type } of strays) made[type] -= 1;
  return made.ioas >= 0 && made.hwpt >= 0 && made.device >= 0;
}

/** Frees one. False: the kernel refuses, and it stays. */
export async function freeStray(run: RunContext, fd: Fd, { id }: Stray): Promise<boolean> {
  for (let attempt = 0; attempt < FREE_ATTEMPTS_MAX; attempt += 1) {
    try {
      await retrying(run, WHILE_RACING, () => destroy(run.syscalls, fd, id as HwptId));
      return true;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
  }
  return false;
}
