/** Runs the steps on an IOAS: allocate, options, allow list, destroy. */
import type { IoasId } from '../../base/ids.ts';
import {
  allocIoas as alloc,
  allowIovas as allow,
  destroy,
  setHugePages as set,
} from '../../kernel/iommufd.ts';
import { contextFd, type Runner, resolved, retrying, WHILE_RACING } from './context.ts';

/** Allocates the IOAS of a container. */
export const allocIoas: Runner<'alloc-ioas'> = ({ context, container, ioas: ref, deletion }, run) =>
  run.exclusive(context, async () => {
    const ioas = alloc(run.syscalls, contextFd(run, context));
    run.journal.record(context, { kind: 'ioas-allocated', container, ref, ioas, deletion });
    return undefined;
  });

/** Sets the huge-page option of an IOAS. */
export const setHugePages: Runner<'set-huge-pages'> = async (
  { context, container, ioas, hugePages },
  run,
) => {
  set(run.syscalls, contextFd(run, context), resolved<IoasId>(run, context, ioas), hugePages);
  run.journal.record(context, { kind: 'container-changed', container, change: { hugePages } });
  return undefined;
};

/** Replaces the allow list of an IOAS. */
export const allowIovas: Runner<'allow-iovas'> = async (
  { context, container, ioas, ranges },
  run,
) => {
  allow(run.syscalls, contextFd(run, context), resolved<IoasId>(run, context, ioas), ranges);
  const change = { allow: ranges };
  run.journal.record(context, { kind: 'container-changed', container, change });
  return undefined;
};

/** Destroys the IOAS of a container. EBUSY that stays means that a HWPT or an mdev still uses it. */
export const destroyIoas: Runner<'destroy-ioas'> = ({ context, container, ioas }, run) =>
  run.exclusive(context, async () => {
    const id = resolved<IoasId>(run, context, ioas);
    await retrying(run, WHILE_RACING, () => destroy(run.syscalls, contextFd(run, context), id));
    run.journal.record(context, { kind: 'ioas-destroyed', container });
    return undefined;
  });
