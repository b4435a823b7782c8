/**
 * What the files say, taken over once they are quiet. The last good config stays in force while the
 * files are not valid, still changing, or being written. Not here: how files are read (source/), what
 * is done about them (loop.ts).
 */
import type { Clock, MonotonicMs } from '../base/clock.ts';
import { type Arrival, arrivalOf, isWholeAsItIs } from '../source/arrival.ts';
import type { Source } from '../source/files.ts';
import type { Config } from '../spec/config.ts';
import type { IssueList } from '../spec/issues.ts';
import { readConfig } from '../spec/read-config.ts';
import { Absences } from './absences.ts';

/** A config in force. */
export interface Loaded {
  readonly config: Config;
  readonly digest: string;
  /** The git commit it comes from, where one can be told. */
  readonly revision: string | null;
  /** When it was taken over. */
  readonly since: MonotonicMs;
  /** It was switched as a whole: what it leaves out may go at once. */
  readonly isAtomic: boolean;
}

/** What a look at the files came to. */
export type IntakeResult =
  /** Nothing new. `back`: what was refused is gone, and the files say again what is in force. */
  | { readonly state: 'same'; readonly back: boolean }
  /** Not quiet yet. `who`: who is writing, in a clause. Worth another look after `againMs`. */
  | { readonly state: 'changing'; readonly who: string; readonly againMs: number }
  /** Not quiet for `BUSY_MS`: nobody should wait for it any longer. Looks go on. */
  | { readonly state: 'busy'; readonly who: string; readonly againMs: number }
  | { readonly state: 'loaded'; readonly loaded: Loaded }
  | { readonly state: 'invalid'; readonly issues: IssueList };

/** What an intake works with. */
export interface IntakeDependencies {
  readonly clock: Clock;
  /**
   * A single file or a git work tree must stay the same this long before it is acted on; a plain
   * directory, where nobody can see the end of a copy, four times as long; what is switched as a whole, not at all.
   */
  readonly settleMs: number;
  /** What is gone from the files counts as removed after it has been gone this long. */
  readonly removalGraceMs: number;
  /** Reads the files. */
  read(): Source;
}

/** After this long of writing, in milliseconds, the writer is reported. */
export const BUSY_MS = 30_000;

/** Nobody hears when a writer is done, so it is looked at again, but not all the time. */
const AGAIN_MS_MIN = 20;

interface Candidate {
  readonly digest: string;
  readonly since: MonotonicMs;
  readonly arrival: Arrival;
}

/** Follows one source. */
export class Intake {
  readonly #deps: IntakeDependencies;
  readonly #absences = new Absences();
  #good: Loaded | null = null;
  #refused: string | null = null;
  #seen: Source | null = null;
  #candidate: Candidate | null = null;
  #restlessSince: MonotonicMs | null = null;
  /** When a look last found exactly what is in force; null: the last look found something else. */
  #confirmedAt: MonotonicMs | null = null;

  constructor(dependencies: IntakeDependencies) {
    this.#deps = dependencies;
  }

  /** The config in force; null before the first valid one. */
  get good(): Loaded | null {
    return this.#good;
  }

  /** The digest of files that are not valid; null while the files are what is in force. */
  get refused(): string | null {
    return this.#refused;
  }

  /** Have two looks, at least the grace apart, found missing whatever is missing? False too while the files are not what is in force. */
  removalsSettled(now: MonotonicMs): boolean {
    return this.#confirmedAt !== null && this.#confirmedAt <= now && this.#absences.latest === null;
  }

  /** How long until the grace of the last removal ends, in milliseconds; 0 where none runs. */
  graceLeftMs(now: MonotonicMs): number {
    const { latest } = this.#absences;
    return latest === null ? 0 : Math.max(0, latest + this.#deps.removalGraceMs - now);
  }

  /** Looks at the files, and takes them over once they are quiet. */
  async look(): Promise<IntakeResult> {
    const { clock, settleMs } = this.#deps;
    const source = this.#deps.read();
    const now = clock.now();
    this.#confirmedAt = null;
    if (source.unsettled !== null) {
      if (this.#candidate !== null) this.#candidate = { ...this.#candidate, since: now };
      return this.#restless(source.unsettled, now, settleMs);
    }
    const arrival = arrivalOf(this.#seen, source);
    this.#seen = source;
    if (source.digest === this.#refused) return this.#rest({ state: 'same', back: false });
    if (source.digest === this.#good?.digest) return this.#confirm(source, now);
    const candidate = this.#considered(source, arrival, now);
    const quietMs = candidate.arrival.quiet * settleMs;
    const leftMs = candidate.since + quietMs - now;
    if (leftMs > 0) return this.#restless('the files have just changed', now, leftMs);
    return this.#take(source, candidate, now);
  }

  #considered(source: Source, arrival: Arrival, now: MonotonicMs): Candidate {
    const { digest } = source;
    const known = this.#candidate?.digest === digest ? this.#candidate : null;
    const isWhole = (known?.arrival ?? arrival).isWhole || isWholeAsItIs(source);
    this.#candidate = {
      digest,
      since: known?.since ?? now,
      arrival: { ...(known?.arrival ?? arrival), isWhole },
    };
    return this.#candidate;
  }

  #restless(who: string, now: MonotonicMs, againMs: number): IntakeResult {
    this.#restlessSince ??= now;
    const isBusy = now - this.#restlessSince >= BUSY_MS;
    return { state: isBusy ? 'busy' : 'changing', who, againMs: Math.max(againMs, AGAIN_MS_MIN) };
  }

  #rest(result: IntakeResult): IntakeResult {
    this.#candidate = null;
    this.#restlessSince = null;
    return result;
  }

  #confirm(source: Source, now: MonotonicMs): IntakeResult {
    const back = this.#refused !== null;
    this.#refused = null;
    this.#confirmedAt = now;
    if (isWholeAsItIs(source)) this.#absences.clear();
    else this.#absences.settle(now, this.#deps.removalGraceMs);
    return this.#rest({ state: 'same', back });
  }

  #take(source: Source, { arrival }: Candidate, now: MonotonicMs): IntakeResult {
    const { digest, revision } = source;
    const { config, issues } = readConfig(source.files, source.issues);
    if (config === null) {
      this.#refused = digest;
      return this.#rest({ state: 'invalid', issues });
    }
    this.#absences.take(this.#good?.config ?? null, config, now);
    if (arrival.isWhole) this.#absences.clear();
    else this.#absences.settle(now, this.#deps.removalGraceMs);
    this.#good = { config, digest, revision, since: now, isAtomic: arrival.isWhole };
    this.#refused = null;
    this.#confirmedAt = now;
    return this.#rest({ state: 'loaded', loaded: this.#good });
  }
}
