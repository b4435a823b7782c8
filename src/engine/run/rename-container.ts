/** Runs `rename-container`. */
import type { Runner } from './context.ts';

/** Writes the new names down. The kernel knows no names, so it is not asked. */
export const renameContainer: Runner<'rename-container'> = async (
  { context, from, to, toContext },
  run,
) => {
  run.journal.record(context, {
    kind: 'container-changed',
    container: from,
    change: { name: to },
  });
  if (toContext !== context) {
    run.journal.record(context, { kind: 'context-renamed', to: toContext });
  }
  return undefined;
};
