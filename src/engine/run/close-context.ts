/** Runs `close-context`. */
import { contextFd, type Runner } from './context.ts';

/** Closes the context's file; the kernel frees what is left in it, leaves first. */
export const closeContext: Runner<'close-context'> = async ({ context }, run) => {
  const fd = contextFd(run, context);
  await run.keeper.letGo(fd);
  await run.syscalls.slow.close(fd);
  run.journal.record(context, { kind: 'context-closed' });
  return undefined;
};
