/** Simulated time: it passes only between events, and everything that is due happens in order. */
import type { Clock, MonotonicMs } from '../../src/base/clock.ts';

interface Timer {
  readonly at: number;
  readonly wake: () => void;
}

/** More wakes than anything needs at one instant: then somebody turns in a circle. */
const WAKES_MAX = 5000;

/** A clock whose sleepers wake when somebody lets time pass. */
export class SimClock implements Clock {
  #now = 0;
  #timers: Timer[] = [];

  now(): MonotonicMs {
    return this.#now as MonotonicMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const abort = (): void => {
        this.#timers = this.#timers.filter((each) => each !== timer);
        resolve();
      };
      const wake = (): void => {
        signal?.removeEventListener('abort', abort);
        resolve();
      };
      const timer: Timer = { at: this.#now + ms, wake };
      // Stable: of two that are due at once, the one that began first wakes first.
      const place = this.#timers.findIndex(({ at }) => at > timer.at);
      this.#timers.splice(place === -1 ? this.#timers.length : place, 0, timer);
      signal?.addEventListener('abort', abort);
    });
  }

  /** Lets time pass, and whatever waits for it go on. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    let atOnce = 0;
    await settled();
    for (let next = this.#timers[0]; next && next.at <= until; next = this.#timers[0]) {
      this.#timers.shift();
      atOnce = next.at > this.#now ? 0 : atOnce + 1;
      if (atOnce > WAKES_MAX) throw new Error('time stands still: somebody keeps waking at once');
      this.#now = next.at;
      next.wake();
      await settled();
    }
    this.#now = until;
  }
}

/** Until no promise is pending that could go on by itself: nothing in the simulation does real I/O. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
