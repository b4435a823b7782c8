/**
 * A source that is followed: read anew at every look, with hints that a look may be worth it. Watching
 * is never trusted; what it misses is found by the timer, and counted. Not here: what a state of the
 * files means, and when it is acted on.
 */
import type { Clock } from '../base/clock.ts';
import {
  type Snapshot,
  type Source,
  type SourceOptions,
  takeSnapshot,
  type WatchedPlaces,
} from './files.ts';
import { silentFilesystemOf } from './filesystem.ts';
import { INOTIFY, type Watchers, Watches } from './watches.ts';

/** How a source is followed. */
export interface FollowOptions extends SourceOptions {
  readonly clock: Clock;
  /** Numbers from 0 up to 1, so that hosts do not look in step. */
  random(): number;
  /** `auto`: events, but polling where the file system does not tell. */
  readonly watch: 'auto' | 'events' | 'poll';
  /** The files are looked at about this often, whatever the events say; five times as often where there are none. */
  readonly resyncMs: number;
  /** Called when a look is due: at a hint, at `wake`, and on the timer. */
  readonly onHint?: () => void;
  readonly onEvent?: (event: SourceEvent) => void;
  /** What opens watches, where it is not inotify. */
  readonly watchers?: Watchers;
}

/** What following comes to, for those who count and those who read. */
export interface SourceEvent {
  readonly kind: 'found-by-resync' | 'watch-degraded' | 'watch-restored';
  /** One line for a person. */
  readonly text: string;
}

/** How well changes are heard. */
export interface SourceHealth {
  readonly mode: 'events' | 'poll';
  /** Why it polls; null where it does not. */
  readonly pollsBecause: string | null;
  /** Why part of it is not watched although it should be; changes there are found on the timer. */
  readonly degraded: string | null;
  /** Changes that no event announced. More than a few: events are lost. */
  readonly foundByResync: number;
}

/** A source that is followed. */
export interface FollowedSource {
  /** The files as they are now. Watches follow what was seen. */
  read(): Source;
  /** Resolves when a look is due (also if it was before), after the time, or when the signal aborts. */
  nap(ms: number, signal: AbortSignal): Promise<void>;
  /** A look is due now: somebody asked, or time jumped. */
  wake(): void;
  health(): SourceHealth;
  close(): Promise<void>;
}

/** Follows the paths until `close`. */
export function followSource(paths: readonly string[], options: FollowOptions): FollowedSource {
  return new Follower(paths, options);
}

/** Hints that come in a burst are one: for so long, and for as many times as long as a reading takes. */
const BURST_MS = 50;
const BURST_READINGS = 4;

class Follower implements FollowedSource {
  readonly #paths: readonly string[];
  readonly #options: FollowOptions;
  readonly #watches: Watches;
  #isDue: boolean = false;
  #endNap: (() => void) | null = null;
  #burstMs = BURST_MS;
  #burst: AbortController | null = null;
  #timer: AbortController | null = null;
  #pollsBecause: string | null = null;
  #last: string | null = null;
  #heard: boolean = false;
  #unannounced: boolean = false;
  #foundByResync = 0;

  constructor(paths: readonly string[], options: FollowOptions) {
    this.#paths = paths;
    this.#options = options;
    this.#watches = new Watches(options.watchers ?? INOTIFY, options.clock, {
      change: () => {
        this.#heard = true;
        this.#hint();
      },
      armed: () => this.#hint(),
      failed: (reason) => this.#say(reason),
    });
  }

  read(): Source {
    this.#isDue = false;
    const { clock } = this.#options;
    const start = clock.now();
    const snapshot = takeSnapshot(this.#paths, this.#options);
    this.#burstMs = Math.max(BURST_MS, (clock.now() - start) * BURST_READINGS);
    this.#pollsBecause = this.#whyPoll(snapshot);
    this.#watches.arm(this.#pollsBecause === null ? snapshot : NOTHING_TO_WATCH);
    this.#count(snapshot.source);
    this.#startTimer();
    return snapshot.source;
  }

  async nap(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#isDue || signal.aborted) return;
    const nap = new AbortController();
    const end = (): void => nap.abort();
    this.#endNap = end;
    signal.addEventListener('abort', end);
    await this.#options.clock.sleep(ms, nap.signal);
    signal.removeEventListener('abort', end);
    this.#endNap = null;
  }

  wake(): void {
    this.#isDue = true;
    this.#endNap?.();
    this.#options.onHint?.();
  }

  health(): SourceHealth {
    return {
      mode: this.#pollsBecause === null ? 'events' : 'poll',
      pollsBecause: this.#pollsBecause,
      degraded: this.#watches.failure,
      foundByResync: this.#foundByResync,
    };
  }

  async close(): Promise<void> {
    this.#timer?.abort();
    this.#burst?.abort();
    await this.#watches.close();
  }

  #hint(): void {
    if (this.#burst !== null) return;
    this.#burst = new AbortController();
    void this.#after(this.#burstMs, this.#burst, () => {
      this.#burst = null;
    });
  }

  #startTimer(): void {
    this.#timer?.abort();
    this.#timer = new AbortController();
    const { resyncMs, random } = this.#options;
    const isBlind = this.#pollsBecause !== null || this.#watches.failure !== null;
    const ms = (isBlind ? resyncMs / 5 : resyncMs) * (0.8 + 0.4 * random());
    void this.#after(ms, this.#timer, () => undefined);
  }

  async #after(ms: number, stop: AbortController, then: () => void): Promise<void> {
    await this.#options.clock.sleep(ms, stop.signal);
    if (stop.signal.aborted) return;
    then();
    this.wake();
  }

  /** News is unannounced if no event came before it was read, nor between that and the next look: an event may be late. */
  #count({ digest, roots }: Source): void {
    if (this.#unannounced && !this.#heard) {
      this.#foundByResync += 1;
      const text = 'a change of the files was found by looking, not by an event';
      this.#options.onEvent?.({ kind: 'found-by-resync', text });
    }
    const now = [digest, ...roots.map(({ real }) => real)].join('\n');
    this.#unannounced = this.#last !== null && this.#last !== now && !this.#heard;
    this.#last = now;
    this.#heard = false;
  }

  #say(reason: string | null): void {
    this.#options.onEvent?.(
      reason === null
        ? { kind: 'watch-restored', text: 'all of the source is watched again' }
        : { kind: 'watch-degraded', text: `${reason}; changes there are found by looking` },
    );
  }

  #whyPoll({ resolved }: Snapshot): string | null {
    const { watch } = this.#options;
    if (watch === 'poll') return 'it was asked for';
    if (watch === 'events') return null;
    for (const { path, real } of resolved) {
      const type = silentFilesystemOf(real ?? path);
      if (type !== null) return `${real ?? path} is on ${type}, where not every change is heard`;
    }
    return null;
  }
}

const NOTHING_TO_WATCH: WatchedPlaces = { resolved: [], directories: [] };
