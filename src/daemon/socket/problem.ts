/** What the socket answers when it does not do what was asked: one document, with cause and remedy. */

/** The kinds of problem, each with its HTTP status. Stable words. */
export const PROBLEMS = {
  'bad-request': 400,
  'not-allowed': 403,
  'not-found': 404,
  'method-not-allowed': 405,
  /** What was looked at is not what is there now. */
  stale: 409,
  suspended: 409,
  'too-large': 413,
  internal: 500,
  'not-yet': 503,
  'too-many-connections': 503,
} as const;

/** The content type of a problem. Source: RFC 9457. */
export const PROBLEM_TYPE = 'application/problem+json';

/** The remedy for a request that cannot be understood. */
export const SEE_API = 'see docs/daemon-api.md for what can be asked';

/** A kind of problem. */
export type ProblemType = keyof typeof PROBLEMS;

/** A problem as a document; its shape is schema/problem.v1.json. */
export interface Problem {
  readonly formatVersion: '1.0';
  readonly kind: 'Problem';
  readonly type: ProblemType;
  readonly status: number;
  /** What was not done. */
  readonly title: string;
  readonly cause: string;
  readonly remedy: string;
}

/** Thrown by a route; becomes the answer. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly problem: Problem;

  constructor(type: ProblemType, title: string, cause: string, remedy: string) {
    super(`${title}: ${cause}`);
    const status = PROBLEMS[type];
    this.problem = { formatVersion: '1.0', kind: 'Problem', type, status, title, cause, remedy };
  }
}
