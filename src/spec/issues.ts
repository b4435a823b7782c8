/** Problems in what the operator wrote, as values. All of them are reported in one run, up to a bound. */
import type { Place } from './config.ts';
import type { RuleId } from './rules.ts';

/** One problem with its place and what to write instead. */
export interface SpecIssue extends Place {
  readonly rule: RuleId;
  /** What is wrong, in one clause. */
  readonly message: string;
  /** What to write or do instead. */
  readonly remedy: string;
  /** The source line, shortened; null where there is none to show. */
  readonly excerpt: string | null;
  /** Where in the excerpt the problem begins, counted from 0. */
  readonly caret: number;
  /** Another place that belongs to the problem. */
  readonly related: (Place & { readonly message: string }) | null;
}

/** How many problems are reported; more are counted. */
export const ISSUES_MAX = 50;

/** Issues with the number of those that were left out. */
export interface IssueList {
  readonly issues: readonly SpecIssue[];
  readonly leftOut: number;
}

const COLUMNS_MAX = 160;

/** The line that an offset is in, shortened around the column, with the caret's place in it. */
export function excerptOf(
  lineText: string,
  column: number,
): { readonly excerpt: string; readonly caret: number } {
  const line = lineText.replaceAll('\t', ' ').trimEnd();
  if (line.length <= COLUMNS_MAX) return { excerpt: line, caret: column - 1 };
  const from = Math.max(0, column - 1 - COLUMNS_MAX / 2);
  const part = line.slice(from, from + COLUMNS_MAX);
  return { excerpt: from > 0 ? `…${part}` : part, caret: column - 1 - from + (from > 0 ? 1 : 0) };
}

/** Issues in the order of the files, the first ones only, without two of the same rule at one place. */
export function listIssues(issues: readonly SpecIssue[]): IssueList {
  // A word that is not allowed anyway need not be quoted.
  const places = new Set(issues.filter(({ rule }) => rule !== 'AD1011').map(placeKey));
  const sorted = issues
    .filter((issue) => issue.rule !== 'AD1011' || !places.has(placeKey(issue)))
    .sort(compareIssues);
  const unique = sorted.filter((issue, index) => {
    const before = sorted[index - 1];
    return before === undefined || compareIssues(before, issue) !== 0;
  });
  return {
    issues: unique.slice(0, ISSUES_MAX),
    leftOut: Math.max(0, unique.length - ISSUES_MAX),
  };
}

function placeKey({ file, line, column }: Place): string {
  return `${file}:${line}:${column}`;
}

function compareIssues(a: SpecIssue, b: SpecIssue): number {
  return (
    compare(a.file, b.file) ||
    a.line - b.line ||
    a.column - b.column ||
    compare(a.rule, b.rule) ||
    compare(a.message, b.message)
  );
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
