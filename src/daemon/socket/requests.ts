/** Waiting for the outcome of a request: bounded, and given up when the client goes away. */
import type { DaemonControl, RequestOutcome } from '../control.ts';

/** Waits until the outcome is more than pending, the time is over, or the signal aborts. */
export function outcomeWithin(
  control: Pick<DaemonControl, 'outcomeOf' | 'subscribe'>,
  id: string,
  waitMs: number,
  signal: AbortSignal,
): Promise<RequestOutcome> {
  return new Promise((resolve) => {
    const settle = (): void => {
      clearTimeout(timer);
      clearInterval(poll);
      unsubscribe();
      signal.removeEventListener('abort', settle);
      resolve(control.outcomeOf(id));
    };
    const look = (): void => {
      if (control.outcomeOf(id) !== 'pending') settle();
    };
    const timer = setTimeout(settle, waitMs);
    // An attempt with nothing to do may end without an event; an event may come before the outcome.
    const poll = setInterval(look, POLL_MS);
    const unsubscribe = control.subscribe(() => setImmediate(look));
    signal.addEventListener('abort', settle);
    look();
  });
}

const POLL_MS = 200;
