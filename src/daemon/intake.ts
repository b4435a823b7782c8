/**
 * What the files say, taken over once they are quiet. The last good config stays in force while the
 * files are not valid or still changing. Not here: how files are read (source/), what is done about
 * them (loop.ts).
 */
import type { Clock, MonotonicMs } from '../base/clock.ts';
import type { Source } from '../source/files.ts';
import type { Config } from '../spec/config.ts';
import type { IssueList } from '../spec/issues.ts';
import { readConfig } from '../spec/read-config.ts';

/** A config in force. */
export interface Loaded {
  readonly config: Config;
  readonly digest: string;
  /** The git commit it comes from, where one can be told. */
  readonly revision: string | null;
  /** When these files were first seen. */
  readonly since: MonotonicMs;
}

/** What a look at the files came to. */
export type IntakeResult =
  /** Nothing new. `back`: what was refused is gone, and the files say again what is in force. */
  | { readonly state: 'same'; readonly back: boolean }
  | { readonly state: 'changing' }
  | { readonly state: 'loaded'; readonly loaded: Loaded }
  | { readonly state: 'invalid'; readonly issues: IssueList };

/** What an intake works with. */
export interface IntakeDependencies {
  readonly clock: Clock;
  /** A state of the files must stay the same this long before it is acted on. */
  readonly settleMs: number;
  readonly signal: AbortSignal;
  /** Reads the files. */
  read(): Source;
}

/** Follows one source. */
export class Intake {
  readonly #deps: IntakeDependencies;
  #good: Loaded | null = null;
  #refused: string | null = null;

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

  /** Looks at the files, and takes them over once they are quiet. */
  async look(): Promise<IntakeResult> {
    const { clock, settleMs, signal } = this.#deps;
    const source = this.#deps.read();
    if (source.digest === this.#refused) return { state: 'same', back: false };
    if (source.digest === this.#good?.digest) {
      const back = this.#refused !== null;
      this.#refused = null;
      return { state: 'same', back };
    }
    await clock.sleep(settleMs, signal);
    const again = this.#deps.read();
    if (again.digest !== source.digest) return { state: 'changing' };
    const { config, issues } = readConfig(again.files, again.issues);
    const { digest, revision } = again;
    if (config === null) {
      this.#refused = digest;
      return { state: 'invalid', issues };
    }
    this.#good = { config, digest, revision, since: clock.now() };
    this.#refused = null;
    return { state: 'loaded', loaded: this.#good };
  }
}
