/**
 * One holder of a host at a time: flock(2) on a file that names its owner. The kernel frees the lock with its
 * holder, however that one ends, so it is never taken over and the file is never removed.
 */
import { closeSync, constants, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { AutodomainError } from '../base/errors.ts';
import type { Fd } from '../kernel/port.ts';
import type { UnixCalls } from '../kernel/unix-port.ts';

/** Who holds the lock, as the file says it. */
export interface LockOwner {
  readonly pid: number;
  readonly verb: string;
  readonly paths: readonly string[];
}

/** Takes the lock in the run directory and returns how to release it. Throws `locked` (75) naming the owner, `no-permission` (77) without the right. */
export function takeLock(
  directory: string,
  owner: LockOwner,
  calls: Pick<UnixCalls, 'tryLock'>,
): () => void {
  const path = join(directory, 'lock');
  const fd = openLock(path);
  if (!calls.tryLock(fd as Fd)) {
    closeSync(fd);
    throw new AutodomainError('locked', `${nameOf(path)} holds this host`, {
      remedy: 'stop it first; only one process may manage a host',
    });
  }
  ftruncateSync(fd);
  writeSync(fd, `${JSON.stringify(owner)}\n`, 0);
  return () => {
    ftruncateSync(fd);
    closeSync(fd);
  };
}

/** libuv adds O_CLOEXEC: a child that we start does not hold the lock for us. */
function openLock(path: string): number {
  try {
    return openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o640);
  } catch (error) {
    throw new AutodomainError('no-permission', `${path} cannot be opened`, {
      cause: error,
      remedy: 'run as root, or set AUTODOMAIN_RUN_DIR to a directory of this user',
    });
  }
}

/** The owner in words. It may be about to write its name, or to end. */
function nameOf(path: string): string {
  try {
    const { pid, verb, paths } = JSON.parse(readFileSync(path, 'utf8')) as LockOwner;
    return `pid ${pid} (autodomain ${verb} ${paths.join(' ')})`;
  } catch {
    return `another process, which has not written its name to ${path} yet,`;
  }
}
