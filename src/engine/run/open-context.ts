/** Runs `open-context`. */
import { openIommufd } from '../../kernel/iommufd.ts';
import { type Runner, withKept } from './context.ts';

/** Opens /dev/iommu. Errnos: ENOENT and ENODEV without iommufd, EACCES without the right. */
export const openContext: Runner<'open-context'> = async ({ context }, run) => {
  const fd = openIommufd(run.syscalls);
  await withKept(run, fd, async () => undefined);
  run.journal.record(context, { kind: 'context-opened', fd });
  return undefined;
};
