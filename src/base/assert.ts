/** Checks for bugs. A failed one is our mistake, never the operator's and never the kernel's. */

/** A broken assumption of this program. Exit code 1; it is never retried. */
export class BugError extends Error {
  override readonly name = 'BugError';
}

/** Throws BugError unless `condition` holds. `message` says what was believed. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new BugError(message);
}

/** The default branch of an exhaustive switch. */
export function assertNever(value: never): never {
  throw new BugError(`not a case: ${JSON.stringify(value)}`);
}

/** The value, or a BugError naming what should have been there. */
export function present<T>(value: T | undefined | null, what: string): T {
  if (value === undefined || value === null) throw new BugError(`missing: ${what}`);
  return value;
}
