/** The status as text: first whether all is well, then what is not and why, then what there is. */
import type {
  Condition,
  ConditionType,
  ContainerStatus,
  DeviceStatus,
  HistoryEntry,
  StatusDocument,
} from '../daemon/control.ts';
import type { Span, SpanLine } from '../plan/format-text.ts';
import { conditionOf, isReady, summaryOf } from './daemon.ts';

/** Attempts that the status shows; `history` shows all. */
const ATTEMPTS_SHOWN = 3;

/** The status as lines of spans. `nowMs` is Unix time in milliseconds: ages are told from it. */
export function formatStatus(status: StatusDocument, nowMs: number): readonly SpanLine[] {
  return [
    headline(status),
    ...troubleOf(status, nowMs),
    ...factsOf(status, nowMs),
    ...status.containers.flatMap((container) => [[], ...containerLines(container, nowMs)]),
    ...lastAttempts(status.history, nowMs),
  ];
}

/** The attempts as lines of spans, the newest first. */
export function formatHistory(
  history: readonly HistoryEntry[],
  nowMs: number,
): readonly SpanLine[] {
  if (history.length === 0) return [[span('no attempt has done anything yet', 'dim')]];
  const width = Math.max(...history.map(({ id }) => id.length));
  return history.map(({ id, at, result, ms, digest, revision, text }) => [
    span(`${id.padEnd(width)}  `, 'title'),
    span(`${at}  `),
    span(result.padEnd(7), result === 'applied' ? 'add' : 'remove'),
    span(`  ${text}`),
    span(
      `  (${ageOf(at, nowMs)} ago, took ${formatMs(ms)}, ${formatRevision(digest, revision)})`,
      'dim',
    ),
  ]);
}

function headline(status: StatusDocument): SpanLine {
  const isWell = conditionOf(status.daemon.conditions, 'Ready')?.status === 'True';
  return [span(summaryOf(status), isWell ? 'add' : 'remove')];
}

/** Conditions that an operator has to know of: those that are bad when they hold, and those that are bad when they do not. */
const BAD_WHEN_TRUE: ReadonlySet<ConditionType> = new Set([
  'Stalled',
  'Drifted',
  'Suspended',
  'WatchDegraded',
]);
const BAD_WHEN_FALSE: ReadonlySet<ConditionType> = new Set(['Ready', 'SourceReady']);

function troubleOf({ daemon }: StatusDocument, nowMs: number): readonly SpanLine[] {
  const working = conditionOf(daemon.conditions, 'Reconciling');
  return [
    ...troubleLines(daemon.conditions, nowMs),
    ...(working?.status === 'True' ? [[span(`  … ${working.message || 'an attempt runs'}`)]] : []),
    ...daemon.stuck.map(({ what, since }) => [
      span('  ! ', 'remove'),
      span(`stuck in the kernel for ${ageOf(since, nowMs)}: ${what}`),
    ]),
  ];
}

/** What is bad, each reason once: a stalled config is not ready either, and for the same reason. */
function troubleLines(conditions: readonly Condition[], nowMs: number): readonly SpanLine[] {
  const bad = conditions.filter(
    ({ type, status }) =>
      (BAD_WHEN_TRUE.has(type) && status === 'True') ||
      (BAD_WHEN_FALSE.has(type) && status !== 'True'),
  );
  const others = bad.filter(({ type }) => type !== 'Ready');
  return bad
    .filter(
      (condition) =>
        condition.type !== 'Ready' || !others.some(({ message }) => message === condition.message),
    )
    .map((condition) => troubleLine(condition, nowMs));
}

function troubleLine(condition: Condition, nowMs: number): SpanLine {
  const { type, status, reason, message, lastTransitionTime } = condition;
  const name = status === 'True' ? type : `not ${type}`;
  return [
    span('  ! ', 'remove'),
    span(`${name} (${reason})${message === '' ? '' : `: ${message}`}`),
    span(`  for ${ageOf(lastTransitionTime, nowMs)}`, 'dim'),
  ];
}

function factsOf({ daemon, source, nextRun }: StatusDocument, nowMs: number): readonly SpanLine[] {
  const { attempted, applied } = source;
  const rows: readonly (readonly [name: string, text: string])[] = [
    ['daemon', `pid ${daemon.pid}, version ${daemon.version}`],
    ['source', source.paths.join(' ')],
    ...(applied === null
      ? []
      : [['applied', formatRevision(applied.digest, applied.revision)] as const]),
    ...(attempted === null || attempted.digest === applied?.digest
      ? []
      : [['wanted', formatRevision(attempted.digest, attempted.revision)] as const]),
    ...(nextRun === null ? [] : [['next', `looks again within ${ageOf(nextRun, nowMs)}`] as const]),
  ];
  return rows.map(([name, text]) => [span(`  ${name.padEnd(8)}`, 'dim'), span(text)]);
}

function containerLines(container: ContainerStatus, nowMs: number): readonly SpanLine[] {
  const { name, conditions, hwpts, devices } = container;
  const title = [
    span(`${name}  `, 'title'),
    span(isReady(container) ? 'ready' : 'not ready', isReady(container) ? 'add' : 'remove'),
  ];
  const rows = [
    ...devices.map((device) => {
      const text = deviceText(device);
      return { name: device.pci ?? device.mdev ?? '', text, tone: 'plain' as const };
    }),
    ...hwpts.map(({ id, dirtyTracking }) => {
      return { name: `HWPT ${id}`, text: DIRTY_WORDS[dirtyTracking], tone: 'dim' as const };
    }),
  ];
  const width = Math.max(0, ...rows.map((row) => row.name.length));
  return [
    title,
    ...troubleLines(conditions, nowMs),
    ...rows.map((row) => [span(`  ${row.name.padEnd(width)}  ${row.text}`, row.tone)]),
  ];
}

const DIRTY_WORDS = {
  none: 'no dirty tracking',
  capable: 'can track dirty pages',
  active: 'tracks dirty pages',
} as const;

const STATE_WORDS: { readonly [S in DeviceStatus['state']]: string } = {
  attached: 'attached',
  bound: 'open, not attached',
  missing: 'wanted, and not held',
  leaving: 'on its way out',
};

const TRACKING_WORDS: { readonly [T in DeviceStatus['tracking']]: string } = {
  iommu: ', its writes can be tracked by the IOMMU',
  device: ', tracks its own writes',
  none: '',
};

function deviceText({ state, hwpt, tracking }: DeviceStatus): string {
  const to = hwpt === null ? '' : ` to HWPT ${hwpt}`;
  return `${STATE_WORDS[state]}${to}${TRACKING_WORDS[tracking]}`;
}

function lastAttempts(history: readonly HistoryEntry[], nowMs: number): readonly SpanLine[] {
  if (history.length === 0) return [];
  const shown = history.slice(0, ATTEMPTS_SHOWN);
  return [
    [],
    [span('last attempts', 'title')],
    ...shown.map(({ at, result, text }) => [
      span(`  ${`${ageOf(at, nowMs)} ago`.padEnd(12)}`, 'dim'),
      span(result.padEnd(7), result === 'applied' ? 'add' : 'remove'),
      span(`  ${text}`),
    ]),
  ];
}

/** A config as people compare it: the first digits of its digest, and its commit. */
export function formatRevision(digest: string, revision: string | null): string {
  const short = digest.slice(0, 'sha256:'.length + 12);
  return revision === null ? short : `${short}, commit ${revision.slice(0, 12)}`;
}

/** The distance of a time from now, in its largest unit. */
function ageOf(time: string, nowMs: number): string {
  const seconds = Math.round(Math.abs(nowMs - Date.parse(time)) / 1000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800
    ? `${Math.round(seconds / 3600)} h`
    : `${Math.round(seconds / 86_400)} d`;
}

function formatMs(ms: number): string {
  return ms < 10_000 ? `${Math.round(ms)} ms` : `${Math.round(ms / 1000)} s`;
}

function span(text: string, tone: Span['tone'] = 'plain'): Span {
  return { text, tone };
}
