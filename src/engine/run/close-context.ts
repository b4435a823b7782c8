/** Runs `close-context`. */
import { contextFd, type Runner } from './context.ts';

/** Closes the context's file; the kernel frees what is left in it, leaves first. */
export const closeContext: Runner<'close-context'> = async ({ context }, run) => {
  await run.syscalls.slow.close(contextFd(run, context));
  run.journal.record(context, { kind: 'context-closed' });
  return undefined;
};
