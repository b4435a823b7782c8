/**
 * From a path to the directory or file that it stands for, link by link. Every place on the way is
 * kept: a change at any of them can lead the path elsewhere, and whoever may write there decides what
 * the config is. Not here: what is below the directory.
 */
import { lstatSync, readlinkSync, type Stats } from 'node:fs';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { codeOf } from './issues.ts';

/** A name in a directory that decides where a path leads. */
export interface Step {
  readonly directory: string;
  readonly name: string;
}

/** Where a path leads. */
export interface Resolved {
  /** The path as the operator gave it. */
  readonly path: string;
  /** Without a link in it; null where it leads nowhere. */
  readonly real: string | null;
  /** What the kernel answered at the step that failed; null where none did. */
  readonly error: unknown;
  /** In the order of the way; the last one is where it ended or failed. */
  readonly steps: readonly Step[];
  /** What the links on the way say, in order. */
  readonly targets: readonly string[];
  /** It went through kubelet's `..data`, which is switched for a whole set of files at once. */
  readonly isProjected: boolean;
}

/** Follows a path. A directory that has kubelet's link `..data` stands for what that leads to. */
export function resolvePath(path: string): Resolved {
  const walk = new Walk();
  walk.follow('/', resolve(path));
  const isProjected = walk.error === null && isLink(join(walk.at, '..data'));
  if (isProjected) walk.follow(walk.at, '..data');
  const { error, steps, targets } = walk;
  return { path, real: error === null ? walk.at : null, error, steps, targets, isProjected };
}

/** The git commit after which a link's target is named (git-sync's contract); null where none is. */
export function commitInTargets({ targets }: Resolved): string | null {
  const names = targets.map((target) => basename(target));
  return names.findLast((name) => COMMIT.test(name)) ?? null;
}

/** A full git object name, SHA-1 or SHA-256. */
export const COMMIT = /^[0-9a-f]{40}([0-9a-f]{24})?$/;

/** As many links as the kernel follows in one path. */
const LINKS_MAX = 40;

class Walk {
  at = '/';
  error: unknown = null;
  readonly steps: Step[] = [];
  readonly targets: string[] = [];

  follow(from: string, path: string): void {
    this.at = from;
    const left = path.split('/').reverse();
    for (let name = left.pop(); name !== undefined && this.error === null; name = left.pop()) {
      if (name === '..') this.at = dirname(this.at);
      else if (name !== '' && name !== '.') left.push(...this.#enter(name));
    }
  }

  /** Goes to the name, or returns the parts of the link's target that come first, the last one first. */
  #enter(name: string): readonly string[] {
    const path = join(this.at, name);
    this.steps.push({ directory: this.at, name });
    try {
      if (!lstatSync(path).isSymbolicLink()) {
        this.at = path;
        return [];
      }
      const target = readlinkSync(path);
      this.targets.push(target);
      if (this.targets.length > LINKS_MAX) {
        throw Object.assign(new Error(`too many links at ${path}`), { code: 'ELOOP' });
      }
      if (isAbsolute(target)) this.at = '/';
      return target.split('/').reverse();
    } catch (error) {
      this.error = error;
      return [];
    }
  }
}

function isLink(path: string): boolean {
  return statOrNull(path)?.isSymbolicLink() ?? false;
}

/** lstat(2); null where nothing is there. */
export function statOrNull(path: string): Stats | null {
  try {
    return lstatSync(path);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP'].includes(codeOf(error))) return null;
    throw error;
  }
}
