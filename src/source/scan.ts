/**
 * Which files below a directory belong to a config, by name and kind. What cannot be looked at becomes
 * an issue; it never makes the list shorter without one.
 */
import { type BigIntStats, lstatSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { join, sep } from 'node:path';
import type { SpecIssue } from '../spec/issues.ts';
import { pathIssue, unreadable } from './issues.ts';

/** A file of a config. */
export interface FoundFile {
  /** Without a link in it. */
  readonly real: string;
  /** The path as messages show it. */
  readonly shown: string;
  /** Below the root, as it enters the digest; empty where the root is the file. */
  readonly name: string;
}

/** A directory that was looked into. */
export interface FoundDirectory {
  readonly path: string;
  /** Another one under the same path has another. */
  readonly identity: string;
}

/** What tells a directory from one that took its place. Inode numbers are used again at once, so its birth belongs to it. */
export function identityOf({ dev, ino, birthtimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${birthtimeNs}`;
}

/** What a scan finds. */
export interface Scan {
  readonly files: readonly FoundFile[];
  readonly directories: readonly FoundDirectory[];
  readonly issues: readonly SpecIssue[];
  /** The directory in which rsync keeps what it delivers at the end (`--delay-updates`); null where there is none. */
  readonly partial: string | null;
}

/** The names of editors' and deliverers' own things are left out, and so are hidden ones. */
function isLeftOut(name: string): boolean {
  return name.startsWith('.') || name.endsWith('~') || (name.startsWith('#') && name.endsWith('#'));
}

/** Would a scan take the file with this name below its root? */
export function belongs(name: string): boolean {
  return CONFIG_NAME.test(name) && !name.split('/').some(isLeftOut);
}

const CONFIG_NAME = /\.ya?ml$/;
const FILES_MAX = 1000;
const DEPTH_MAX = 32;
const RSYNC_PARTIAL = '.~tmp~';

/** Looks below `real`; messages show `shown`, the path as the operator knows it. */
export function scan(real: string, shown: string): Scan {
  const scanner = new Scanner(real);
  const root: FoundFile = { real, shown, name: '' };
  try {
    const stat = statSync(real, { bigint: true });
    if (stat.isDirectory()) scanner.enter(root, stat, 0);
    else scanner.files.push(root);
  } catch (error) {
    scanner.issues.push(unreadable(shown, error));
  }
  if (scanner.files.length <= FILES_MAX) return scanner;
  const tooMany = pathIssue(shown, 'AD1004', {
    message: `more than ${FILES_MAX} files`,
    remedy: 'point autodomain at a smaller directory',
  });
  const { directories, issues, partial } = scanner;
  return { files: [], directories, partial, issues: [...issues, tooMany] };
}

class Scanner implements Scan {
  readonly files: FoundFile[] = [];
  readonly directories: FoundDirectory[] = [];
  readonly issues: SpecIssue[] = [];
  partial: string | null = null;
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  enter(directory: FoundFile, stat: BigIntStats, depth: number): void {
    this.directories.push({ path: directory.real, identity: identityOf(stat) });
    let names: string[];
    try {
      names = readdirSync(directory.real).sort();
    } catch (error) {
      this.issues.push(unreadable(directory.shown, error));
      return;
    }
    for (const name of names) {
      const path = join(directory.real, name);
      if (name === RSYNC_PARTIAL) this.partial = path;
      if (isLeftOut(name) || this.files.length > FILES_MAX) continue;
      const entry = { real: path, shown: join(directory.shown, name), name };
      this.#look({ ...entry, name: join(directory.name, name) }, depth);
    }
  }

  #look(entry: FoundFile, depth: number): void {
    try {
      const isLink = lstatSync(entry.real).isSymbolicLink();
      const real = isLink ? realpathSync(entry.real) : entry.real;
      if (isLink && real !== this.#root && !real.startsWith(this.#root + sep)) {
        this.issues.push(
          pathIssue(entry.shown, 'AD1005', {
            message: `the link leads out of the tree, to ${real}`,
            remedy: 'copy the file, or give its path as well',
          }),
        );
        return;
      }
      const stat = statSync(real, { bigint: true });
      if (stat.isDirectory() && !isLink) this.#descend(entry, stat, depth + 1);
      else if (CONFIG_NAME.test(entry.name)) this.files.push({ ...entry, real });
    } catch (error) {
      this.issues.push(unreadable(entry.shown, error));
    }
  }

  #descend(directory: FoundFile, stat: BigIntStats, depth: number): void {
    if (depth <= DEPTH_MAX) {
      this.enter(directory, stat, depth);
      return;
    }
    this.issues.push(
      pathIssue(directory.shown, 'AD1010', {
        message: `more than ${DEPTH_MAX} directories deep`,
        remedy: 'move the files further up',
      }),
    );
  }
}
