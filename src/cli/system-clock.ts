/** Time as the machine has it. */
import type { Clock, MonotonicMs } from '../base/clock.ts';

/** Node takes a longer time for one millisecond. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** The monotonic clock of the process, and timers that let go of their signal. Nobody sleeps for more than 24 days at once. */
export function systemClock(): Clock {
  return {
    now: () => Math.round(performance.now()) as MonotonicMs,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        const timer = setTimeout(done, Math.min(ms, TIMER_MS_MAX));
        function done(): void {
          clearTimeout(timer);
          signal?.removeEventListener('abort', done);
          resolve();
        }
        signal?.addEventListener('abort', done);
      }),
  };
}
