/** Time in a model: it passes only when somebody sleeps, and sleepers wake in the order of their time. */
import type { Clock, MonotonicMs } from '../base/clock.ts';

/** A clock at zero. A sleep that is called off (a deadline that was kept) moves no time. */
export function simulatedClock(): Clock {
  let now = 0;
  let pending: { readonly at: number; readonly wake: () => void }[] = [];
  let isTurning = false;
  const turn = (): void => {
    if (isTurning || pending.length === 0) return;
    isTurning = true;
    setImmediate(() => {
      isTurning = false;
      pending.sort((a, b) => a.at - b.at);
      const next = pending.shift();
      if (next === undefined) return;
      now = next.at;
      next.wake();
      turn();
    });
  };
  return {
    now: () => now as MonotonicMs,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        const sleeper = { at: now + ms, wake: resolve };
        pending.push(sleeper);
        signal?.addEventListener('abort', () => {
          pending = pending.filter((each) => each !== sleeper);
          resolve();
        });
        turn();
      }),
  };
}
