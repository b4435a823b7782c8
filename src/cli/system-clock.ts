/** Time as the machine has it. */
import type { Clock, MonotonicMs } from '../base/clock.ts';

/** The monotonic clock of the process, and timers that let go of their signal. */
export function systemClock(): Clock {
  return {
    now: () => Math.round(performance.now()) as MonotonicMs,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        const timer = setTimeout(done, ms);
        function done(): void {
          clearTimeout(timer);
          signal?.removeEventListener('abort', done);
          resolve();
        }
        signal?.addEventListener('abort', done);
      }),
  };
}
