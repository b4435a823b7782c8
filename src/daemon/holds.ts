/**
 * Which cells wait, and for what: a failure that may pass waits longer each time, one that will not
 * pass waits for new input, and a correction that never lasts is slowed down. Time and chance come in
 * as arguments; nothing here acts.
 */

/** Why a cell waits. */
export type Hold =
  | { readonly kind: 'back-off'; readonly until: number; readonly text: string }
  | { readonly kind: 'terminal'; readonly text: string }
  | { readonly kind: 'flapping'; readonly until: number; readonly text: string };

/** A failure of a cell, as the loop saw it. */
export interface Failure {
  /** What the cell would do next: another plan of it is no repetition. */
  readonly fingerprint: string;
  readonly retry: 'later' | 'on-new-input';
  readonly text: string;
}

const WAIT_MS_FIRST = 1000;
/** The longest wait between two tries, in milliseconds. */
export const WAIT_MS_MAX = 300_000;
/** As many corrections of one cell within the window are a flap. */
const CORRECTIONS_MAX = 3;
const WINDOW_MS = 600_000;
/** Events so soon after a failure are mostly those of our own steps: a bind that was taken back says as much as anybody's. */
const ECHO_MS = 1000;

interface Waiting {
  failures: number;
  fingerprint: string;
  hold: Hold | null;
  corrections: number[];
  failedAt: number;
}

/** The waits of all cells, by cell. */
export class Holds {
  readonly #cells = new Map<string, Waiting>();
  readonly #random: () => number;

  /** `random` gives numbers from 0 up to 1. */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** Somebody changed something: whatever waited is tried at once. */
  clear(): void {
    this.#cells.clear();
  }

  /**
   * Something happened to what a cell is about: it is tried at once, but keeps its count of failures. Not where
   * it has just failed, or would do nothing but follow itself; nor where it flaps, which is made of events.
   */
  release(cell: string, now: number): void {
    const record = this.#cells.get(cell);
    if (record === undefined || record.hold?.kind === 'flapping') return;
    if (now - record.failedAt >= ECHO_MS) record.hold = null;
  }

  /** Notes that a cell failed. */
  failed(cell: string, failure: Failure, now: number): void {
    const record = this.#record(cell);
    const { fingerprint, retry, text } = failure;
    record.fingerprint = fingerprint;
    record.failures += 1;
    record.failedAt = now;
    record.hold =
      retry === 'on-new-input'
        ? { kind: 'terminal', text }
        : { kind: 'back-off', until: now + this.#waitMs(record.failures), text };
  }

  /** Notes that a cell was applied. `isCorrection`: nobody asked for it; the host had left what was reached. */
  applied(cell: string, isCorrection: boolean, now: number): void {
    const record = this.#record(cell);
    record.failures = 0;
    if (record.hold?.kind !== 'flapping') record.hold = null;
    if (!isCorrection) return;
    record.corrections = [...record.corrections.filter((at) => now - at < WINDOW_MS), now];
    const over = record.corrections.length - CORRECTIONS_MAX;
    if (over < 0) return;
    const text = `corrected ${record.corrections.length} times in ${WINDOW_MS / 60_000} minutes: somebody else keeps changing it`;
    record.hold = { kind: 'flapping', until: now + this.#waitMs(over + 6), text };
    record.fingerprint = '';
  }

  /** What a cell waits for; null: nothing. A failed cell whose plan has changed waits no longer for what was. */
  of(cell: string, fingerprint: string, now: number): Hold | null {
    const record = this.#cells.get(cell);
    const hold = record?.hold ?? null;
    if (record === undefined || hold === null) return null;
    if (hold.kind === 'terminal') return record.fingerprint === fingerprint ? hold : null;
    return hold.until > now ? hold : null;
  }

  /** True where the last failure left just this to do. */
  hasFailed(cell: string, fingerprint: string): boolean {
    return this.#cells.get(cell)?.fingerprint === fingerprint;
  }

  /** When the first wait ends; null: none does by itself. */
  nextAt(now: number): number | null {
    const ends = [...this.#cells.values()].flatMap(({ hold }) =>
      hold !== null && hold.kind !== 'terminal' && hold.until > now ? [hold.until] : [],
    );
    return ends.length === 0 ? null : Math.min(...ends);
  }

  /** Doubles with every failure; up to a fifth more or less, so that hosts do not try in step. */
  #waitMs(failures: number): number {
    const base = Math.min(WAIT_MS_FIRST * 2 ** (failures - 1), WAIT_MS_MAX);
    return Math.min(Math.round(base * (0.8 + 0.4 * this.#random())), WAIT_MS_MAX);
  }

  #record(cell: string): Waiting {
    const record = this.#cells.get(cell) ?? newRecord();
    this.#cells.set(cell, record);
    return record;
  }
}

function newRecord(): Waiting {
  return {
    failures: 0,
    fingerprint: '',
    hold: null,
    corrections: [],
    failedAt: Number.NEGATIVE_INFINITY,
  };
}
