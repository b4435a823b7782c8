/** The journal's file: cut at every byte, damaged, of another format, in a full file system. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { JournalOnDisk, journalPath, readJournalFile } from '../../src/daemon/journal-file.ts';
import { DurableJournal, emptyState, replay } from '../../src/engine/durable-journal.ts';
import type { Fd } from '../../src/kernel/port.ts';

const work = mkdtempSync(join(tmpdir(), 'autodomain-journal-'));
const path = journalPath(work);
afterAll(() => rmSync(work, { recursive: true, force: true }));

function written(): DurableJournal {
  const journal = new DurableJournal(new JournalOnDisk(path), emptyState('boot'));
  for (const name of ['blue', 'grün']) {
    const intent = journal.begin({ kind: 'open-context', args: { context: name } });
    journal.keep(intent + 10);
    journal.record(name, { kind: 'context-opened', fd: (intent + 10) as Fd });
    journal.end(intent);
  }
  return journal;
}

describe('a journal on disk', () => {
  it('is read back as it was written, and belongs to its owner alone', () => {
    const journal = written();
    const read = readJournalFile(path);
    expect(read.result === 'entries' && replay(read.entries)).toEqual(journal.state());
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('is refused when it was cut, at every byte', () => {
    written();
    const whole = readFileSync(path);
    for (let length = 0; length < whole.length; length += 1) {
      writeFileSync(path, whole.subarray(0, length));
      expect(readJournalFile(path).result, `${length} bytes`).toBe('refused');
    }
  });

  it('is refused when any byte of it is another', () => {
    written();
    const whole = readFileSync(path);
    for (let at = 0; at < whole.length; at += 1) {
      const changed = Buffer.from(whole);
      changed[at] = (changed[at] ?? 0) ^ 1;
      writeFileSync(path, changed);
      const read = readJournalFile(path);
      // A last line without its end is one that was being written; a smaller length leaves the lines as they are.
      const harmless = at === whole.length - 1 || (at < 32 && read.result === 'entries');
      expect(read.result === 'refused' || harmless, `byte ${at}`).toBe(true);
    }
  });

  it('keeps what was complete when the process died in the middle of a line, at every byte', () => {
    const journal = written();
    const before = journal.state();
    const whole = readFileSync(path);
    const line = Buffer.from('0badc0de {"kind":"end","id":1}\n');
    for (let length = 0; length < line.length; length += 1) {
      writeFileSync(path, Buffer.concat([whole, line.subarray(0, length)]));
      const read = readJournalFile(path);
      expect(read.result === 'entries' && replay(read.entries), `${length}`).toEqual(before);
    }
  });

  it('is written whole after a write that failed', () => {
    const file = new JournalOnDisk(path);
    const full: Error[] = [];
    const journal = new DurableJournal(
      {
        append(text) {
          for (const error of full) throw error;
          file.append(text);
        },
        replace: (text) => file.replace(text),
      },
      emptyState('boot'),
    );
    full.push(new Error('ENOSPC'));
    const action = { kind: 'open-context', args: { context: 'a' } } as const;
    expect(() => journal.begin(action)).toThrow('the journal cannot be written');
    full.pop();
    journal.begin(action);
    const read = readJournalFile(path);
    expect(read.result === 'entries' && replay(read.entries)).toEqual(journal.state());
  });

  it('does not grow for ever', () => {
    const journal = written();
    const action = { kind: 'open-context', args: { context: 'a'.repeat(1000) } } as const;
    for (let times = 0; times < 300; times += 1) journal.end(journal.begin(action));
    expect(statSync(path).size).toBeLessThan(80_000);
  });
});
