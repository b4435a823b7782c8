/** The one error class for trouble that ends a command, and what each code means to a caller. */

/** What each exit code of the command line means. Stable: scripts depend on them. */
export const EXIT = {
  done: 0,
  error: 1,
  changes: 2,
  configInvalid: 3,
  rolledBack: 4,
  notRolledBack: 5,
  refused: 6,
  stalePlan: 7,
  timedOut: 8,
  usage: 64,
  unavailable: 69,
  locked: 75,
  noPermission: 77,
  daemonConfig: 78,
} as const;

/** Reason words of AutodomainError, each with its exit code and whether trying again can help. */
export const ERROR_CODES = {
  internal: { exit: EXIT.error, retry: 'never' },
  io: { exit: EXIT.error, retry: 'later' },
  'config-invalid': { exit: EXIT.configInvalid, retry: 'on-new-input' },
  refused: { exit: EXIT.refused, retry: 'on-new-input' },
  'stale-plan': { exit: EXIT.stalePlan, retry: 'on-new-input' },
  'timed-out': { exit: EXIT.timedOut, retry: 'later' },
  usage: { exit: EXIT.usage, retry: 'never' },
  unavailable: { exit: EXIT.unavailable, retry: 'never' },
  locked: { exit: EXIT.locked, retry: 'later' },
  'no-permission': { exit: EXIT.noPermission, retry: 'never' },
  'daemon-config': { exit: EXIT.daemonConfig, retry: 'never' },
} as const satisfies Record<string, { exit: number; retry: 'never' | 'later' | 'on-new-input' }>;

/** A reason word of AutodomainError. */
export type ErrorCode = keyof typeof ERROR_CODES;

/**
 * Trouble that ends a command. The message is one clause and does not repeat the cause; the
 * remedy says what a person can do.
 */
export class AutodomainError extends Error {
  override readonly name = 'AutodomainError';
  readonly code: ErrorCode;
  readonly remedy: string | null;

  constructor(code: ErrorCode, message: string, more: { cause?: unknown; remedy?: string } = {}) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.code = code;
    this.remedy = more.remedy ?? null;
  }
}

/** The exit code for whatever was thrown. Anything unknown is 1. */
export function exitCodeOf(error: unknown): number {
  return error instanceof AutodomainError ? ERROR_CODES[error.code].exit : EXIT.error;
}

/** The message of an error and of all its causes, outermost first, joined by `: `. */
export function formatErrorChain(error: unknown): string {
  const parts: string[] = [];
  let current: unknown = error;
  while (current instanceof Error && parts.length < 8) {
    parts.push(current.message);
    current = current.cause;
  }
  if (parts.length === 0) parts.push(String(error));
  return parts.join(': ');
}
