/**
 * Everything that wakes the loop comes through here: file events, kernel events, requests. A hint says
 * what to look at, never what happened; many at once are one.
 */
import type { Clock } from '../base/clock.ts';
import type { DeviceKey } from '../base/ids.ts';

/** Why to look again. */
export type Hint =
  /** The files may have changed. */
  | { readonly kind: 'files' }
  /** Something happened to devices; null: to any of them. */
  | { readonly kind: 'devices'; readonly keys: readonly DeviceKey[] | null }
  /** A person asked: waits for nothing, not even for a back-off. */
  | { readonly kind: 'request' };

/** A nap that hints end. */
export class Wakeup {
  readonly #clock: Clock;
  #hints: Hint[] = [];
  #nap: AbortController | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Ends the nap under way, or the next one before it begins. */
  wake(hint: Hint): void {
    const seen = this.#hints.some(({ kind }) => kind === hint.kind && kind !== 'devices');
    if (!seen) this.#hints.push(hint);
    if (this.#hints.length > HINTS_MAX) {
      const others = this.#hints.filter(({ kind }) => kind !== 'devices');
      this.#hints = [...others, { kind: 'devices', keys: null }];
    }
    this.#nap?.abort();
  }

  /** Takes what was said since the last time. */
  take(): readonly Hint[] {
    const hints = this.#hints;
    this.#hints = [];
    return hints;
  }

  /** Resolves at a hint (also one that came before), after the time, or when the signal aborts. */
  async nap(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#hints.length > 0 || signal.aborted) return;
    const nap = new AbortController();
    const stop = (): void => nap.abort();
    this.#nap = nap;
    signal.addEventListener('abort', stop);
    await this.#clock.sleep(ms, nap.signal);
    signal.removeEventListener('abort', stop);
    this.#nap = null;
  }
}

/** With more than this many at once, those about devices are one about all of them. */
const HINTS_MAX = 64;
