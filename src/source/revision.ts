/** Which git commit a config comes from, read from git's own files: no subprocess, no guess. */
import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, isAbsolute, join } from 'node:path';

const COMMIT = /^[0-9a-f]{40}([0-9a-f]{24})?$/;

/** The commit of the work tree that holds the path, or of a link target named after one (git-sync); null where neither is. */
export function revisionOf(path: string): string | null {
  try {
    const real = realpathSync(path);
    if (COMMIT.test(basename(real))) return basename(real);
    for (let dir = real; ; dir = dirname(dir)) {
      if (existsSync(join(dir, '.git'))) return headOf(gitDirOf(dir));
      if (dir === dirname(dir)) return null;
    }
  } catch {
    return null;
  }
}

/** `.git` is a directory, or in a linked work tree a file that names one. */
function gitDirOf(tree: string): string {
  const dotGit = join(tree, '.git');
  if (statSync(dotGit).isDirectory()) return dotGit;
  const named = readFileSync(dotGit, 'utf8')
    .replace(/^gitdir:\s*/, '')
    .trim();
  return isAbsolute(named) ? named : join(tree, named);
}

function headOf(gitDir: string): string | null {
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
