/** What is wrong with a path itself, as issues: it has no line to show. */
import type { SpecIssue } from '../spec/issues.ts';
import type { RuleId } from '../spec/rules.ts';

/** An issue about a whole file or directory. */
export function pathIssue(
  path: string,
  rule: RuleId,
  text: { readonly message: string; readonly remedy: string },
): SpecIssue {
  const place = { file: path, line: 1, column: 1 };
  return { ...place, rule, ...text, excerpt: null, caret: 0, related: null };
}

/** AD1001 with what the kernel answered. */
export function unreadable(path: string, error: unknown): SpecIssue {
  const code = codeOf(error);
  return pathIssue(path, 'AD1001', {
    message: `cannot be read: ${CODES[code] ?? code}`,
    remedy:
      'correct the path or its permissions; a path that cannot be read is never taken for an empty one',
  });
}

/** The errno of a failed call by name, or the text of whatever was thrown. */
export function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}

const CODES: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory (ENOENT)',
  ENOTDIR: 'a part of the path is not a directory (ENOTDIR)',
  EACCES: 'permission denied (EACCES)',
  ELOOP: 'its links go round in a circle (ELOOP)',
};
