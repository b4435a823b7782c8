/** One holder of a host at a time: a file that names its owner. A lock whose owner is gone is taken over. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AutodomainError } from '../base/errors.ts';

/** Who holds the lock, as the file says it. */
export interface LockOwner {
  readonly pid: number;
  readonly verb: string;
  readonly paths: readonly string[];
}

/** The directory of run-time files: AUTODOMAIN_RUN_DIR, or /run/autodomain. */
export function runDirectory(env: Readonly<Record<string, string | undefined>>): string {
  return env['AUTODOMAIN_RUN_DIR'] ?? '/run/autodomain';
}

/** Takes the lock and returns how to release it. Throws `locked` (75) naming the owner, `no-permission` (77) without the right. */
export function takeLock(directory: string, owner: LockOwner): () => void {
  const path = join(directory, 'lock');
  try {
    mkdirSync(directory, { recursive: true, mode: 0o750 });
    for (let attempt = 0; attempt < 2; attempt += 1) {
      if (tryCreate(path, { ...owner, start: startTimeOf(owner.pid) })) {
        return () => rmSync(path, { force: true });
      }
      const other = readOwner(path);
      if (other !== null && isAlive(other)) {
        throw new AutodomainError(
          'locked',
          `pid ${other.pid} (autodomain ${other.verb} ${other.paths.join(' ')}) holds this host`,
          { remedy: 'stop it first; only one process may manage a host' },
        );
      }
      rmSync(path, { force: true });
    }
  } catch (error) {
    if (error instanceof AutodomainError) throw error;
    throw new AutodomainError('no-permission', `${path} cannot be written`, {
      cause: error,
      remedy: 'run as root, or set AUTODOMAIN_RUN_DIR to a directory of this user',
    });
  }
  throw new AutodomainError('locked', `${path} is contended`, { remedy: 'run again' });
}

interface StampedOwner extends LockOwner {
  /** Start time of the process in clock ticks since boot: tells a reused pid. */
  readonly start: string | null;
}

function tryCreate(path: string, owner: StampedOwner): boolean {
  try {
    writeFileSync(path, JSON.stringify(owner), { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function readOwner(path: string): StampedOwner | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as StampedOwner;
  } catch {
    return null;
  }
}

function isAlive({ pid, start }: StampedOwner): boolean {
  const now = startTimeOf(pid);
  return now !== null && now === start;
}

/** Field 22 of /proc/PID/stat; the name in field 2 may hold anything, so it is cut off first. */
function startTimeOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}
