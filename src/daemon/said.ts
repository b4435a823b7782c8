/** Events of the loop in words: for the log, the stream of events and the history. */
import { formatCell, formatSummary } from '../engine/report.ts';
import { explainBlocker } from '../plan/blockers.ts';
import { summaryOf } from '../plan/format-text.ts';
import { formatIssues } from '../spec/format.ts';
import { describeAction } from '../steps/index.ts';
import type { DaemonEvent, HistoryEntry } from './control.ts';
import { containerFindings } from './findings.ts';
import type { WatchEvent } from './loop.ts';

type Attempted = Extract<WatchEvent, { kind: 'attempted' }>;

/** An event as text of one or more lines, without a newline at the end. */
export function formatEvent(event: WatchEvent): string {
  switch (event.kind) {
    case 'config-invalid': {
      const keeps =
        event.keeps === null
          ? 'nothing is applied'
          : `the config ${shortDigest(event.keeps)} stays in force`;
      return `${formatIssues(event.issues)}\nthe config is not valid: ${keeps}`;
    }
    case 'config-loaded': {
      const commit = event.revision === null ? '' : `, commit ${event.revision.slice(0, 12)}`;
      return `config ${shortDigest(event.digest)}${commit}`;
    }
    case 'attempt-started':
      return `attempt ${event.id}: ${summaryOf(event.plan)}`;
    case 'attempted':
      return attemptText(event);
    case 'blocked':
      return blockedText(event);
    case 'converged':
      return summaryOf(event.plan);
  }
}

/** An event as one line. */
export function headline(event: WatchEvent): string {
  switch (event.kind) {
    case 'config-invalid': {
      const { issues, leftOut } = event.issues;
      const [first] = issues;
      if (first === undefined) return 'the config is not valid';
      const others = issues.length - 1 + leftOut;
      const more = others > 0 ? ` (and ${others} more)` : '';
      return `${first.file}:${first.line}:${first.column}: ${first.message}${more}`;
    }
    case 'attempted': {
      const { plan, result, drift } = event.attempt;
      return formatSummary(plan, result, drift);
    }
    default:
      return formatEvent(event).split('\n').join('; ');
  }
}

/** What an attempt came to, for those who count. */
export function outcomeIn(event: WatchEvent): Pick<DaemonEvent, 'outcome'> {
  if (event.kind !== 'attempted') return {};
  const { result, steps, ms } = historyEntry(event, '');
  return { outcome: { result, steps, ms } };
}

function attemptText({ attempt }: Attempted): string {
  const { plan, result, drift } = attempt;
  const lines = result.outcomes
    .filter((outcome) => outcome.status === 'done')
    .map(({ step, ms }) => `  ${describeAction(step)}  ${ms} ms`);
  const failed = result.cells.filter((cell) => cell.result !== 'applied').map(formatCell);
  const differs = drift.map(({ text }) => `not as planned: ${text}`);
  return [...lines, ...failed, ...differs, formatSummary(plan, result, drift)].join('\n');
}

function blockedText({ plan, judgements }: Extract<WatchEvent, { kind: 'blocked' }>): string {
  const blockers = plan.blocked.map((blocker) => {
    const { text, remedy } = explainBlocker(blocker);
    return `${blocker.container}: ${blocker.kind}: ${text}; ${remedy}`;
  });
  const waits = [...judgements].flatMap(([cell, judgement]) => {
    if (judgement.state === 'blocked' || judgement.state === 'settled') return [];
    const [ready] = containerFindings(cell, judgement);
    return [`${cell}: ${ready?.message ?? judgement.state}`];
  });
  return [...blockers, ...waits].join('\n');
}

/** An attempt as an entry of the history. */
export function historyEntry({ id, attempt, loaded, ms }: Attempted, at: string): HistoryEntry {
  const { plan, result, drift } = attempt;
  const good = drift.length === 0 && result.cells.every((cell) => cell.result === 'applied');
  return {
    id,
    at,
    digest: loaded.digest,
    revision: loaded.revision,
    result: good ? 'applied' : 'failed',
    steps: result.outcomes.filter(({ status }) => status === 'done').length,
    ms: Math.round(ms),
    text: formatSummary(plan, result, drift),
  };
}

/** The first twelve digits of a digest, with its kind. */
export function shortDigest(digest: string): string {
  return digest.slice(0, 'sha256:'.length + 12);
}
