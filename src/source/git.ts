/**
 * What git's own files say about a directory: its work tree, the commit, and whether git is writing.
 * No subprocess: git run by root in somebody's work tree runs what that tree's config names.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { COMMIT } from './resolve.ts';

/** A git work tree. */
export interface WorkTree {
  readonly root: string;
  /** Where its HEAD and index are: `.git`, or what the file `.git` of a linked work tree names. */
  readonly gitDir: string;
}

/** The work tree that holds a real path; null where none does, or where its git directory is out of reach. */
export function workTreeOf(real: string): WorkTree | null {
  for (let root = real; ; root = dirname(root)) {
    if (existsSync(join(root, '.git'))) {
      const gitDir = orNull(() => gitDirOf(root));
      return gitDir === null ? null : { root, gitDir };
    }
    if (root === dirname(root)) return null;
  }
}

/** The commit that is checked out; null where it cannot be told. */
export function headOf({ gitDir }: WorkTree): string | null {
  return orNull(() => readHead(gitDir));
}

/** The lock that git holds while it writes a work tree; null while it does not. */
export function lockOf({ gitDir }: WorkTree): string | null {
  const lock = join(gitDir, 'index.lock');
  return existsSync(lock) ? lock : null;
}

/** `.git` is a directory, or in a linked work tree a file that names one. */
function gitDirOf(root: string): string {
  const dotGit = join(root, '.git');
  if (statSync(dotGit).isDirectory()) return dotGit;
  const named = readFileSync(dotGit, 'utf8')
    .replace(/^gitdir:\s*/, '')
    .trim();
  return isAbsolute(named) ? named : join(root, named);
}

function readHead(gitDir: string): string | null {
  const head = readFileSync(join(gitDir, 'HEAD'), 'utf8').trim();
  if (COMMIT.test(head)) return head;
  const ref = head.replace(/^ref:\s*/, '');
  const common = existsSync(join(gitDir, 'commondir'))
    ? join(gitDir, readFileSync(join(gitDir, 'commondir'), 'utf8').trim())
    : gitDir;
  for (const dir of [gitDir, common]) {
    if (existsSync(join(dir, ref))) return readFileSync(join(dir, ref), 'utf8').trim();
  }
  return packedRef(join(common, 'packed-refs'), ref);
}

function packedRef(file: string, ref: string): string | null {
  if (!existsSync(file)) return null;
  const line = readFileSync(file, 'utf8')
    .split('\n')
    .find((each) => each.endsWith(` ${ref}`));
  return line?.split(' ')[0] ?? null;
}

/** These files change under our eyes; what cannot be read now is read at the next look. */
function orNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}
