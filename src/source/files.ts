/**
 * Paths to the bytes of a config: which files belong to it, read twice until both times agree.
 * A path that cannot be read makes the config invalid; it never makes it smaller.
 */
import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  statSync,
} from 'node:fs';
import { basename, join, relative, sep } from 'node:path';
import type { SpecIssue } from '../spec/issues.ts';
import type { RuleId } from '../spec/rules.ts';
import { FILE_BYTES_MAX, type SourceFile } from '../spec/text.ts';
import { revisionOf } from './revision.ts';

/** The files of a config with what names this state of them. */
export interface Source {
  readonly files: readonly SourceFile[];
  readonly issues: readonly SpecIssue[];
  /** sha256 over names and contents of all files of all paths, as `sha256:<hex>`. */
  readonly digest: string;
  /** The git commit that the first path is checked out from; null where none can be told. */
  readonly revision: string | null;
}

const FILES_MAX = 1000;
const READS_MAX = 5;

/** Reads the config at the paths: directories (every *.yaml and *.yml below) and single files. */
export function readSource(paths: readonly string[]): Source {
  let before = readOnce(paths);
  for (let reads = 1; reads < READS_MAX; reads += 1) {
    const now = readOnce(paths);
    if (now.digest === before.digest) return now;
    before = now;
  }
  const changing = issueOf(paths[0] ?? '.', 'AD1012', {
    message: 'the files keep changing while they are read',
    remedy: 'wait until whoever writes them is done',
  });
  return { ...before, issues: [...before.issues, changing] };
}

function readOnce(paths: readonly string[]): Source {
  const files: SourceFile[] = [];
  const issues: SpecIssue[] = [];
  const hash = createHash('sha256');
  for (const path of paths) {
    const root = rootOf(path);
    if (typeof root !== 'string') {
      issues.push(root);
      continue;
    }
    const before = files.length;
    scan(root, path, { files, issues });
    for (const file of files.slice(before)) {
      hash.update(`${relative(path, file.path)}\0${file.bytes.length}\0`);
      hash.update(file.bytes);
    }
  }
  const digest = `sha256:${hash.digest('hex')}`;
  return { files, issues, digest, revision: revisionOf(paths[0] ?? '.') };
}

/** The directory or file that a path stands for. Kubelet swaps `..data`, so it is read through that link. */
function rootOf(path: string): string | SpecIssue {
  try {
    const real = realpathSync(path);
    if (!statSync(real).isDirectory()) return real;
    try {
      return realpathSync(join(real, '..data'));
    } catch {
      return real;
    }
  } catch (error) {
    return unreadable(path, error);
  }
}

interface Collecting {
  readonly files: SourceFile[];
  readonly issues: SpecIssue[];
}

/** Collects below `real`; messages show `shown`, the path as the operator knows it. */
function scan(real: string, shown: string, into: Collecting): void {
  let isDirectory: boolean;
  try {
    isDirectory = statSync(real).isDirectory();
  } catch (error) {
    into.issues.push(unreadable(shown, error));
    return;
  }
  if (isDirectory) scanDirectory({ root: real, real, shown, depth: 0 }, into);
  else readInto(real, shown, into);
}

interface Directory {
  readonly root: string;
  readonly real: string;
  readonly shown: string;
  readonly depth: number;
}

const DEPTH_MAX = 32;

function scanDirectory(directory: Directory, into: Collecting): void {
  const { root, real, shown, depth } = directory;
  let names: string[];
  try {
    names = readdirSync(real).sort();
  } catch (error) {
    into.issues.push(unreadable(shown, error));
    return;
  }
  for (const name of names) {
    if (isLeftOut(name) || into.files.length > FILES_MAX) continue;
    const path = join(real, name);
    const label = join(shown, name);
    const target = targetOf(root, path, label, into);
    if (target === null) continue;
    if (target.isDirectory && depth < DEPTH_MAX && !target.isLink) {
      scanDirectory({ root, real: path, shown: label, depth: depth + 1 }, into);
    } else if (/\.ya?ml$/.test(name)) readInto(target.real, label, into);
  }
  if (into.files.length > FILES_MAX) {
    into.issues.push(
      issueOf(shown, 'AD1004', {
        message: `more than ${FILES_MAX} files`,
        remedy: 'point autodomain at a smaller directory',
      }),
    );
  }
}

/** Hidden names (kubelet's, git's, rsync's) and what editors leave behind. */
function isLeftOut(name: string): boolean {
  return name.startsWith('.') || name.endsWith('~') || (name.startsWith('#') && name.endsWith('#'));
}

function targetOf(
  root: string,
  path: string,
  shown: string,
  into: Collecting,
): { readonly real: string; readonly isDirectory: boolean; readonly isLink: boolean } | null {
  try {
    const isLink = lstatSync(path).isSymbolicLink();
    const real = isLink ? realpathSync(path) : path;
    if (isLink && real !== root && !real.startsWith(root + sep)) {
      into.issues.push(
        issueOf(shown, 'AD1005', {
          message: `the link leads out of the tree, to ${real}`,
          remedy: 'copy the file, or give its path as well',
        }),
      );
      return null;
    }
    return { real, isDirectory: statSync(real).isDirectory(), isLink };
  } catch (error) {
    into.issues.push(unreadable(shown, error));
    return null;
  }
}

/** Reads one file. It is opened without waiting, because a pipe would block until somebody writes. */
function readInto(real: string, shown: string, into: Collecting): void {
  let fd: number | null = null;
  try {
    fd = openSync(real, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = fstatSync(fd);
    if (!stat.isFile()) {
      into.issues.push(
        issueOf(shown, 'AD1005', {
          message: `${basename(shown)} is not a regular file`,
          remedy: 'remove it, or give a file',
        }),
      );
    } else if (stat.size > FILE_BYTES_MAX) {
      into.issues.push(
        issueOf(shown, 'AD1004', {
          message: `the file has ${stat.size} bytes, and ${FILE_BYTES_MAX} are read at most`,
          remedy: 'split it into several files',
        }),
      );
    } else {
      into.files.push({ path: shown, bytes: readFileSync(fd) });
    }
  } catch (error) {
    into.issues.push(unreadable(shown, error));
  } finally {
    if (fd !== null) closeSync(fd);
  }
}

function unreadable(path: string, error: unknown): SpecIssue {
  const code = (error as NodeJS.ErrnoException).code ?? String(error);
  return issueOf(path, 'AD1001', {
    message: `cannot be read: ${CODES[code] ?? code}`,
    remedy:
      'correct the path or its permissions; a path that cannot be read is never taken for an empty one',
  });
}

const CODES: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory (ENOENT)',
  ENOTDIR: 'a part of the path is not a directory (ENOTDIR)',
  EACCES: 'permission denied (EACCES)',
  ELOOP: 'its links go round in a circle (ELOOP)',
};

function issueOf(
  path: string,
  rule: RuleId,
  text: { readonly message: string; readonly remedy: string },
): SpecIssue {
  const place = { file: path, line: 1, column: 1 };
  return { ...place, rule, ...text, excerpt: null, caret: 0, related: null };
}
