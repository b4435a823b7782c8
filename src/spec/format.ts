/** Issues as text, the way compilers print them, so that editors and grep can follow. */
import type { IssueList, SpecIssue } from './issues.ts';

/** One issue: the line that editors understand, the excerpt with a caret, what to write. */
export function formatIssue(issue: SpecIssue): string {
  const { file, line, column, rule, message, remedy, excerpt, caret, related } = issue;
  const lines = [`${file}:${line}:${column}: error ${rule}: ${message}`];
  if (excerpt !== null && excerpt.trim() !== '') {
    const gutter = String(line);
    lines.push(`  ${gutter} | ${excerpt}`);
    lines.push(`  ${' '.repeat(gutter.length)} | ${' '.repeat(caret)}^`);
  }
  if (related !== null) {
    const { file: other, line: otherLine, column: otherColumn } = related;
    lines.push(`  ${other}:${otherLine}:${otherColumn}: note: ${related.message}`);
  }
  lines.push(`  = ${remedy}`);
  return lines.join('\n');
}

/** All issues, with a last line that counts them. */
export function formatIssues(list: IssueList): string {
  const { issues, leftOut } = list;
  const total = issues.length + leftOut;
  const more = leftOut > 0 ? ` (${leftOut} not shown)` : '';
  const count = `${total} ${total === 1 ? 'problem' : 'problems'}${more}`;
  return [...issues.map(formatIssue), count].join('\n');
}
