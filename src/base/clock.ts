/** Time as a dependency, so that the core has none and the simulator can own it. */

/** Milliseconds of a clock that never goes back. Not a date. */
export type MonotonicMs = number & { readonly __unit: 'monotonic-ms' };

/** Where time comes from. */
export interface Clock {
  now(): MonotonicMs;
  /** Resolves after `ms` milliseconds, or at once when the signal aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}
