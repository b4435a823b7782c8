/**
 * Watches that say "look again", kept on what the path leads to now. chokidar hears the tree; our own
 * watches hear the places on the way to it, where a link or a directory is switched and chokidar stays
 * deaf. What cannot be watched costs speed, never correctness.
 */
import { type FSWatcher, watch as fsWatch, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { watch as chokidarWatch } from 'chokidar';
import type { Clock } from '../base/clock.ts';
import type { WatchedPlaces } from './files.ts';
import { codeOf } from './issues.ts';
import { identityOf } from './scan.ts';

/** What opens watches; tests put another in its place. */
export interface Watchers {
  /** Hears the names that change in one directory; null where the kernel leaves the name out. Throws what inotify answers. */
  directory(path: string, on: DirectoryListener): { close(): void };
  /** Hears whatever changes below the directories. */
  tree(paths: readonly string[], on: TreeListener): { close(): Promise<void> };
}

/** Called by a watch of one directory. */
export interface DirectoryListener {
  changed(name: string | null): void;
  failed(error: unknown): void;
}

/** Called by the watch of a tree. `armed` may come although parts are not watched. */
export interface TreeListener {
  changed(): void;
  failed(error: unknown): void;
  armed(): void;
}

/** inotify, through Node and through chokidar. */
export const INOTIFY: Watchers = {
  directory(path, on) {
    const watcher: FSWatcher = fsWatch(path, (_event, name) => on.changed(name));
    watcher.on('error', (error) => on.failed(error));
    return watcher;
  },
  tree(paths, on) {
    const watcher = chokidarWatch([...paths], {
      ignoreInitial: true,
      followSymlinks: false,
      depth: DEPTH_MAX,
      // A directory's own watch says what happens to its files, in `raw`: one for each file says no more.
      ignored: (path, stats) => {
        const root = paths.find((each) => path.startsWith(each)) ?? '';
        return (
          (stats !== undefined && !stats.isDirectory()) || NOT_OURS.test(path.slice(root.length))
        );
      },
    });
    watcher.on('all', () => on.changed());
    watcher.on('raw', () => on.changed());
    watcher.on('error', (error) => on.failed(error));
    watcher.on('ready', () => on.armed());
    return watcher;
  },
};

const DEPTH_MAX = 32;
const NOT_OURS = /\/(\.git|\.~tmp~)(\/|$)/;
const RETRY_MS = 30_000;

interface Place {
  readonly identity: string;
  readonly watch: { close(): void };
  names: ReadonlySet<string>;
}

interface Tree {
  readonly identity: string;
  readonly watch: { close(): Promise<void> };
}

/** The watches of one source. */
export class Watches {
  readonly #watchers: Watchers;
  readonly #clock: Clock;
  readonly #onChange: () => void;
  readonly #onArmed: () => void;
  readonly #onFailure: (reason: string | null) => void;
  readonly #places = new Map<string, Place>();
  readonly #closing = new Set<Promise<void>>();
  #tree: Tree | null = null;
  #placeFailure: string | null = null;
  #said: string | null = null;
  #treeFailure: { readonly text: string; readonly at: number } | null = null;

  constructor(
    watchers: Watchers,
    clock: Clock,
    on: {
      readonly change: () => void;
      readonly armed: () => void;
      /** Null: all of it is watched again. */
      readonly failed: (reason: string | null) => void;
    },
  ) {
    this.#watchers = watchers;
    this.#clock = clock;
    this.#onChange = on.change;
    this.#onArmed = on.armed;
    this.#onFailure = on.failed;
  }

  /** Why part of the source is not watched; null where all of it is. */
  get failure(): string | null {
    return this.#treeFailure?.text ?? this.#placeFailure;
  }

  /** Watches the places, and nothing else. What was armed only now may have changed since it was read. */
  arm(places: WatchedPlaces): void {
    const isNew = this.#armPlaces(namesByDirectory(places));
    this.#armTree(places.directories);
    this.#say();
    if (isNew) this.#onArmed();
  }

  /** Lets all watches go. */
  async close(): Promise<void> {
    this.#armPlaces(new Map());
    this.#armTree([]);
    await Promise.all(this.#closing);
  }

  #armPlaces(wanted: ReadonlyMap<string, ReadonlySet<string>>): boolean {
    let isNew = false;
    this.#placeFailure = null;
    for (const [path, place] of this.#places) {
      if (wanted.has(path) && identityAt(path) === place.identity) continue;
      place.watch.close();
      this.#places.delete(path);
    }
    for (const [path, names] of wanted) {
      const place = this.#places.get(path);
      if (place) place.names = names;
      else if (this.#watchPlace(path, names)) isNew = true;
    }
    return isNew;
  }

  #watchPlace(path: string, names: ReadonlySet<string>): boolean {
    const identity = identityAt(path);
    if (identity === null) return false;
    try {
      const watch = this.#watchers.directory(path, {
        changed: (name) => {
          if (name === null || this.#places.get(path)?.names.has(name)) this.#onChange();
        },
        failed: () => {
          this.#drop(path);
          this.#onChange();
        },
      });
      this.#places.set(path, { identity, watch, names });
      return true;
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') this.#placeFailure = textOf(error, path);
      return false;
    }
  }

  #drop(path: string): void {
    this.#places.get(path)?.watch.close();
    this.#places.delete(path);
  }

  /** chokidar does not notice that a directory it watches is another one now, so a tree that differs gets a new one. */
  #armTree(directories: WatchedPlaces['directories']): void {
    const identity = directories.map((each) => `${each.path}\0${each.identity}`).join('\0');
    const failed = this.#treeFailure;
    const isDue = failed !== null && this.#clock.now() - failed.at >= RETRY_MS;
    if (this.#tree?.identity === identity && !isDue) return;
    if (this.#tree !== null) this.#closeTree(this.#tree);
    this.#tree = null;
    // A failure stands until the next try has come through without one.
    this.#treeFailure =
      failed === null || directories.length === 0 ? null : { ...failed, at: this.#clock.now() };
    if (directories.length === 0) return;
    const known = new Set(directories.map(({ path }) => path));
    const tops = [...known].filter((path) => !known.has(dirname(path)));
    const watch = this.#watchers.tree(tops, this.#treeListener());
    this.#tree = { identity, watch };
  }

  #treeListener(): TreeListener {
    let isWhole = true;
    return {
      changed: () => this.#onChange(),
      armed: () => {
        if (isWhole) this.#treeFailure = null;
        this.#say();
        this.#onArmed();
      },
      failed: (error) => {
        isWhole = false;
        this.#treeFailure = { text: textOf(error, 'the tree'), at: this.#clock.now() };
        this.#say();
      },
    };
  }

  /** Says what cannot be watched once, not at every look. */
  #say(): void {
    const { failure } = this;
    if (failure === this.#said) return;
    this.#said = failure;
    this.#onFailure(failure);
  }

  #closeTree({ watch }: Tree): void {
    const closed = watch.close().finally(() => this.#closing.delete(closed));
    this.#closing.add(closed);
  }
}

function namesByDirectory({ resolved }: WatchedPlaces): ReadonlyMap<string, ReadonlySet<string>> {
  const names = new Map<string, Set<string>>();
  for (const { directory, name } of resolved.flatMap(({ steps }) => steps)) {
    const known = names.get(directory);
    if (known) known.add(name);
    else names.set(directory, new Set([name]));
  }
  return names;
}

function identityAt(path: string): string | null {
  try {
    return identityOf(statSync(path, { bigint: true }));
  } catch {
    return null;
  }
}

function textOf(error: unknown, what: string): string {
  const code = codeOf(error);
  const remedy = REMEDIES[code];
  return `${what} cannot be watched: ${code}${remedy === undefined ? '' : `; ${remedy}`}`;
}

const REMEDIES: Readonly<Record<string, string>> = {
  ENOSPC: 'raise fs.inotify.max_user_watches',
  EMFILE: 'raise fs.inotify.max_user_instances, or the limit of open files',
};
