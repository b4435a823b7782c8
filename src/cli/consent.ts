/** Asking a person whether a plan that they were shown is to be applied. */
import type { Io } from './io.ts';

/** True where `--yes` was given, where there is nothing to do, or where the person says yes. */
export async function isConfirmed(
  steps: number,
  { yes }: { readonly yes?: boolean },
  io: Io,
): Promise<boolean> {
  if (yes || steps === 0) return true;
  const answer = await io.ask('Apply this plan? [y/N] ');
  return /^y(es)?$/i.test(answer?.trim() ?? '');
}
