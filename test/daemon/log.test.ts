/** The log as the journal, a person and a collector get it. */
import { closeSync, fstatSync, openSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { DaemonEvent } from '../../src/daemon/control.ts';
import {
  isJournal,
  type LogFormat,
  type LogLevel,
  logEvents,
  openLog,
} from '../../src/daemon/log.ts';

function logged(
  format: LogFormat,
  journal: boolean,
  events: readonly DaemonEvent[],
  level: LogLevel = 'info',
): string {
  let text = '';
  const write = (more: string): void => {
    text += more;
  };
  const log = openLog({ level, format, journal, write });
  logEvents(log, {
    subscribe: (listener) => {
      for (const event of events) listener(event);
      return () => undefined;
    },
  });
  return text;
}

const at = '2026-01-01T00:00:00Z';
const APPLIED: DaemonEvent = {
  at,
  kind: 'attempted',
  attempt: 'a-7',
  text: '1 container: 1 ready',
  outcome: { result: 'applied', steps: 3, ms: 12 },
};
const FAILED: DaemonEvent = {
  ...APPLIED,
  text: 'attach 0000:01:00.0: EBUSY\nand more',
  outcome: { result: 'failed', steps: 1, ms: 12 },
};
const INVALID: DaemonEvent = { at, kind: 'config-invalid', attempt: null, text: 'not valid' };
const BLOCKED: DaemonEvent = { at, kind: 'blocked', attempt: null, text: 'in use' };

describe('the log', () => {
  it('gives the journal a level before every line, and the attempt on each', () => {
    expect(logged('auto', true, [APPLIED, FAILED, INVALID, BLOCKED])).toBe(
      [
        '<6>[a-7] 1 container: 1 ready',
        '<3>[a-7] attach 0000:01:00.0: EBUSY',
        '<3>[a-7] and more',
        '<3>not valid',
        '<4>in use',
        '',
      ].join('\n'),
    );
  });

  it('gives a person the same without the levels', () => {
    const text = '[a-7] 1 container: 1 ready\nnot valid\n';
    expect(logged('auto', false, [APPLIED, INVALID])).toBe(text);
    expect(logged('text', true, [APPLIED, INVALID])).toBe(text);
  });

  it('is JSON where that is asked for, one record a line', () => {
    const lines = logged('json', true, [FAILED, BLOCKED]).trim().split('\n');
    const records = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(records).toMatchObject([
      { level: 50, event: 'attempted', attempt: 'a-7', msg: FAILED.text },
      { level: 40, event: 'blocked', attempt: null, msg: 'in use' },
    ]);
    expect(records[0]?.['time']).toMatch(/^\d{4}-\d\d-\d\dT/);
  });

  it('says as much as its level', () => {
    expect(logged('text', false, [APPLIED, BLOCKED, FAILED], 'error')).toContain('EBUSY');
    expect(logged('text', false, [APPLIED, BLOCKED], 'error')).toBe('');
    expect(logged('text', false, [APPLIED, FAILED], 'silent')).toBe('');
  });
});

describe('isJournal', () => {
  it('holds where the stream is the very file that systemd names', () => {
    const fd = openSync('/dev/null', 'w');
    const { dev, ino } = fstatSync(fd, { bigint: true });
    expect(isJournal({ JOURNAL_STREAM: `${dev}:${ino}` }, fd)).toBe(true);
    expect(isJournal({ JOURNAL_STREAM: `${dev}:${ino + 1n}` }, fd)).toBe(false);
    expect(isJournal({}, fd)).toBe(false);
    closeSync(fd);
    expect(isJournal({ JOURNAL_STREAM: `${dev}:${ino}` }, 9999)).toBe(false);
  });
});
