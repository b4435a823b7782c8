/**
 * Paths to the bytes of a config, read twice until both times agree. A path that cannot be read makes
 * the config invalid; it never makes it smaller. Not here: when a state of the files is acted on.
 */
import { createHash } from 'node:crypto';
import { type BigIntStats, closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { SpecIssue } from '../spec/issues.ts';
import { FILE_BYTES_MAX, type SourceFile } from '../spec/text.ts';
import { headOf, lockOf, workTreeOf } from './git.ts';
import { agreesWithIndex, type ReadFile } from './git-index.ts';
import { pathIssue, unreadable } from './issues.ts';
import { privacyIssues } from './private.ts';
import { commitInTargets, type Resolved, resolvePath, statOrNull } from './resolve.ts';
import { belongs, type FoundFile, type Scan, scan } from './scan.ts';

/** The files of a config with what names this state of them. */
export interface Source {
  readonly files: readonly SourceFile[];
  readonly issues: readonly SpecIssue[];
  /** sha256 over names and contents of all files of all paths, as `sha256:<hex>`. */
  readonly digest: string;
  /** The git commit that the first path is checked out from; null where none can be told. */
  readonly revision: string | null;
  /** One for each path. */
  readonly roots: readonly SourceRoot[];
  /** Why this state is not to be acted on: who is writing, in a clause. Null: nobody is. */
  readonly unsettled: string | null;
}

/** What a path led to. */
export interface SourceRoot {
  /** Without a link in it; null where the path leads nowhere. */
  readonly real: string | null;
  /** Over its files alone. */
  readonly digest: string;
  /** A link stands on the way, so that what it leads to can be switched at once. */
  readonly isLinked: boolean;
  /**
   * How its files come. `link`: switched as a whole by kubelet or git-sync. `git`: exactly what git's
   * index says. `ready-file`: the writer says when it is done. `file`: one file. `directory`: nobody
   * can see whether a copy into it is finished.
   */
  readonly delivery: 'link' | 'git' | 'ready-file' | 'file' | 'directory';
}

/** What a reader is told beside the paths. */
export interface SourceOptions {
  /** Name of a file in each directory that is there only while the set is complete. */
  readonly readyFile?: string;
  /** Refuse what others than root and this user could change. */
  readonly requirePrivate?: boolean;
}

/** What changes to a source can be heard at: the ways to its paths, and the directories below. */
export interface WatchedPlaces {
  readonly resolved: readonly Resolved[];
  readonly directories: Scan['directories'];
}

/** A source with the places to watch. */
export interface Snapshot extends WatchedPlaces {
  readonly source: Source;
}

const READS_MAX = 5;

/**
 * Reads the config at the paths, once: directories (every *.yaml and *.yml below) and single files. A
 * writer who declares himself is not waited for, because a hook of git runs while git holds its lock.
 */
export function readSource(paths: readonly string[], options: SourceOptions = {}): Source {
  let before = readOnce(paths, options);
  for (let reads = 1; reads < READS_MAX; reads += 1) {
    const now = readOnce(paths, options);
    if (isSame(before, now)) return now.source;
    before = now;
  }
  const changing = pathIssue(paths[0] ?? '.', 'AD1012', {
    message: 'the files keep changing while they are read',
    remedy: 'wait until whoever writes them is done',
  });
  const { source } = before;
  return { ...source, issues: [...source.issues, changing] };
}

/** Reads everything twice. Where the two differ, or somebody says that he is writing, the source says so. */
export function takeSnapshot(paths: readonly string[], options: SourceOptions = {}): Snapshot {
  const before = readOnce(paths, options);
  const now = readOnce(paths, options);
  const { source, resolved, directories } = now;
  const changed = isSame(before, now) ? null : 'the files change while they are read';
  const unsettled = source.unsettled ?? before.source.unsettled ?? changed;
  return { source: { ...source, unsettled }, resolved, directories };
}

interface Reading extends Snapshot {
  /** Sizes, times and inodes before and after each file was read, and where each path led. */
  readonly signature: string;
}

function isSame(a: Reading, b: Reading): boolean {
  return a.source.digest === b.source.digest && a.signature === b.signature;
}

function readOnce(paths: readonly string[], options: SourceOptions): Reading {
  const parts = paths.map((path) => readRoot(path, options));
  const source: Source = {
    files: parts.flatMap(({ read }) => read.files),
    issues: parts.flatMap(({ read }) => read.issues),
    digest: digestOf(parts.map(({ read }) => read)),
    revision: parts[0]?.revision ?? null,
    roots: parts.map(({ root }) => root),
    unsettled: parts.find(({ writer }) => writer !== null)?.writer ?? null,
  };
  return {
    source,
    resolved: parts.map(({ resolved }) => resolved),
    directories: parts.flatMap(({ found }) => found.directories),
    signature: parts.map(({ root, read }) => [root.real, ...read.signature].join('\n')).join('\n'),
  };
}

interface ReadRoot {
  readonly root: SourceRoot;
  readonly resolved: Resolved;
  readonly revision: string | null;
  readonly writer: string | null;
  readonly found: Scan;
  readonly read: Reader;
}

const NOTHING: Scan = { files: [], directories: [], issues: [], partial: null };

function readRoot(path: string, options: SourceOptions): ReadRoot {
  const resolved = resolvePath(path);
  const { real } = resolved;
  const found = real === null ? NOTHING : scan(real, path);
  const read = new Reader(found.issues);
  if (real === null) read.issues.push(unreadable(path, resolved.error));
  for (const file of found.files) read.take(file);
  if (options.requirePrivate) read.issues.push(...privacyIssues(resolved, found));
  const tree = real === null ? null : workTreeOf(real);
  // Looked at after the files: who began to write before that has left a trace here, or in the next reading.
  const writer = writerOf({ real, tree, found }, options);
  const commit = commitInTargets(resolved);
  const isDirectory = found.directories.length > 0;
  const isClean = (): boolean =>
    tree !== null && real !== null && agreesWithIndex(tree, real, read.contents, belongs);
  const delivery = (): SourceRoot['delivery'] => {
    if (resolved.isProjected || commit !== null) return 'link';
    if (options.readyFile !== undefined) return 'ready-file';
    if (isClean()) return 'git';
    return isDirectory ? 'directory' : 'file';
  };
  return {
    root: {
      real,
      digest: digestOf([read]),
      isLinked: resolved.targets.length > 0,
      delivery: delivery(),
    },
    resolved,
    revision: commit ?? (tree === null ? null : headOf(tree)),
    writer,
    found,
    read,
  };
}

function writerOf(
  root: {
    readonly real: string | null;
    readonly tree: ReturnType<typeof workTreeOf>;
    readonly found: Scan;
  },
  { readyFile }: SourceOptions,
): string | null {
  const lock = root.tree === null ? null : lockOf(root.tree);
  if (lock !== null) return `git is writing: ${lock} exists`;
  if (root.found.partial !== null) return `rsync is delivering: ${root.found.partial} exists`;
  if (readyFile === undefined || root.real === null) return null;
  const directory = root.found.directories.length > 0 ? root.real : dirname(root.real);
  const marker = join(directory, readyFile);
  return statOrNull(marker) === null ? `the writer is not ready: ${marker} is missing` : null;
}

/** Over names, lengths and contents; where something is wrong, over that too, or a missing directory would be an empty one. */
function digestOf(readers: readonly Reader[]): string {
  const hash = createHash('sha256');
  for (const { contents, issues } of readers) {
    for (const { name, bytes } of contents) hash.update(`${name}\0${bytes.length}\0`).update(bytes);
    for (const { file, rule, message } of issues) hash.update(`${file}\0${rule}\0${message}\0`);
  }
  return `sha256:${hash.digest('hex')}`;
}

/** Reads files one after the other. */
class Reader {
  readonly files: SourceFile[] = [];
  readonly contents: (ReadFile & { readonly name: string })[] = [];
  readonly issues: SpecIssue[];
  readonly signature: string[] = [];

  constructor(issues: readonly SpecIssue[]) {
    this.issues = [...issues];
  }

  /** Reads one file. It is opened without waiting, because a pipe would block until somebody writes. */
  take({ real, shown, name }: FoundFile): void {
    let fd: number | null = null;
    try {
      fd = openSync(real, constants.O_RDONLY | constants.O_NONBLOCK);
      const before = fstatSync(fd, { bigint: true });
      const refusal = refusalOf(before, shown);
      if (refusal !== null) {
        this.issues.push(refusal);
        return;
      }
      const bytes = readFileSync(fd);
      this.signature.push(real, signatureOf(before), signatureOf(fstatSync(fd, { bigint: true })));
      this.files.push({ path: shown, bytes });
      this.contents.push({ real, name, bytes });
    } catch (error) {
      this.issues.push(unreadable(shown, error));
    } finally {
      if (fd !== null) closeSync(fd);
    }
  }
}

function signatureOf({ ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [ino, size, mtimeNs, ctimeNs].join(' ');
}

function refusalOf(stat: BigIntStats, shown: string): SpecIssue | null {
  if (!stat.isFile()) {
    return pathIssue(shown, 'AD1005', {
      message: `${basename(shown)} is not a regular file`,
      remedy: 'remove it, or give a file',
    });
  }
  if (stat.size <= BigInt(FILE_BYTES_MAX)) return null;
  return pathIssue(shown, 'AD1004', {
    message: `the file has ${stat.size} bytes, and ${FILE_BYTES_MAX} are read at most`,
    remedy: 'split it into several files',
  });
}
