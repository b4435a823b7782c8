/** The directory of run-time files. Whoever can write to it could give us a journal or take our lock, so nobody else may. */
import { lstatSync, mkdirSync, realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { AutodomainError } from '../base/errors.ts';

/** The directory of run-time files: AUTODOMAIN_RUN_DIR, or /run/autodomain. */
export function runDirectory(env: Readonly<Record<string, string | undefined>>): string {
  return env['AUTODOMAIN_RUN_DIR'] ?? '/run/autodomain';
}

/** Makes the directory where it is missing, 0750. Throws `no-permission` (77) without the right, `daemon-config` (78) where others can write to it or to a directory above. */
export function openRunDirectory(path: string, uid: number): void {
  let real: string;
  try {
    mkdirSync(path, { recursive: true, mode: 0o750 });
    real = realpathSync(path);
  } catch (error) {
    throw new AutodomainError('no-permission', `${path} cannot be made`, {
      cause: error,
      remedy: 'run as root, or set AUTODOMAIN_RUN_DIR to a directory of this user',
    });
  }
  for (let at = real; ; at = dirname(at)) {
    const why = whoElseWrites(at, uid, at === real);
    if (why !== null) {
      throw new AutodomainError('daemon-config', `${path} is not safe: ${at} ${why}`, {
        remedy: 'give it to root, mode 0750, or set AUTODOMAIN_RUN_DIR to another directory',
      });
    }
    if (at === dirname(at)) return;
  }
}

const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;

/** In a directory above with the sticky bit, such as /tmp, others cannot put theirs in the place of ours. */
function whoElseWrites(path: string, uid: number, isItself: boolean): string | null {
  const { mode, uid: owner } = lstatSync(path);
  if (owner !== 0 && owner !== uid) return `belongs to user ${owner}`;
  const isSafe = (mode & OTHERS_WRITE) === 0 || (!isItself && (mode & STICKY) !== 0);
  return isSafe ? null : `can be written by others (mode 0${(mode & 0o7777).toString(8)})`;
}
