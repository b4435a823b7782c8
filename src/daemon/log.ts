/**
 * The daemon's log: pino's records, written as a person or a collector reads them. The journal gets
 * `<N>` for the level before each line, as sd-daemon(3) has it; JSON is pino's own.
 */
import { fstatSync } from 'node:fs';
import { type Logger, pino } from 'pino';
import type { DaemonControl, DaemonEvent, EventKind } from './control.ts';

/** The levels that can be asked for; a level shows itself and what is worse. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;

/** A level of the log. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** The forms that can be asked for. `auto`: for the journal where stderr is the journal, else text. */
export const LOG_FORMATS = ['auto', 'text', 'json'] as const;

/** A form of the log. */
export type LogFormat = (typeof LOG_FORMATS)[number];

/** A log with the levels above; `child({ attempt })` stamps every line with an attempt. */
export type Log = Pick<Logger, 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'child'>;

/** What a log is opened with. */
export interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** True where `write` ends in the journal: see `isJournal`. */
  readonly journal: boolean;
  write(text: string): void;
}

/** Opens a log. Writing is synchronous: the last line before a crash is the one that matters. */
export function openLog({ level, format, journal, write }: LogOptions): Log {
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime };
  if (format === 'json') return pino(options, { write });
  const prefixed = format === 'auto' && journal;
  return pino(options, { write: (record: string) => write(textOf(record, prefixed)) });
}

/** True where the file descriptor is the journal's stream, as systemd says it: `JOURNAL_STREAM=device:inode`. */
export function isJournal(env: Readonly<Record<string, string | undefined>>, fd: number): boolean {
  const stream = env['JOURNAL_STREAM'];
  if (stream === undefined) return false;
  try {
    const { dev, ino } = fstatSync(fd, { bigint: true });
    return stream === `${dev}:${ino}`;
  } catch {
    return false;
  }
}

/** What decides the level of an event, and what its lines are stamped with. */
export type LoggedEvent = Pick<DaemonEvent, 'kind' | 'attempt' | 'outcome'>;

/** Writes an event in the given words. */
export function logEvent(log: Log, event: LoggedEvent, text: string): void {
  log[levelOf(event)]({ event: event.kind, attempt: event.attempt }, text);
}

/** Writes every event of a daemon but those of these kinds, until the returned function is called. */
export function logEvents(
  log: Log,
  control: Pick<DaemonControl, 'subscribe'>,
  except: ReadonlySet<EventKind> = new Set(),
): () => void {
  return control.subscribe((event) => {
    if (!except.has(event.kind)) logEvent(log, event, event.text);
  });
}

const LEVELS: Readonly<Partial<Record<EventKind, 'warn' | 'error'>>> = {
  'config-invalid': 'error',
  blocked: 'warn',
  drifted: 'warn',
  'found-by-resync': 'warn',
  'watch-degraded': 'warn',
};

function levelOf({ kind, outcome }: LoggedEvent): 'info' | 'warn' | 'error' {
  return outcome?.result === 'failed' ? 'error' : (LEVELS[kind] ?? 'info');
}

/** syslog's number of a pino level. */
const PRIORITIES: Readonly<Record<number, number>> = { 60: 2, 50: 3, 40: 4, 30: 6, 20: 7, 10: 7 };

interface LogRecord {
  readonly level: number;
  readonly msg?: string;
  readonly attempt?: string | null;
  readonly err?: { readonly stack?: string; readonly message?: string };
}

/** A record as text: each of its lines on its own, since the journal takes every line for an entry. */
function textOf(record: string, prefixed: boolean): string {
  const { level, msg, attempt, err } = JSON.parse(record) as LogRecord;
  const stamp = attempt ? `[${attempt}] ` : '';
  const prefix = prefixed ? `<${PRIORITIES[level] ?? 6}>` : '';
  const text = [msg, err?.stack ?? err?.message].filter((part) => part !== undefined).join('\n');
  return text
    .split('\n')
    .map((line) => `${prefix}${stamp}${line}\n`)
    .join('');
}
