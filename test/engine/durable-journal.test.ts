/** What a durable journal must not lose, and must not make up. */
import { describe, expect, it } from 'vitest';
import type { DeviceKey, IoasId } from '../../src/base/ids.ts';
import { DurableJournal, emptyState, replay } from '../../src/engine/durable-journal.ts';
import { decodeLog } from '../../src/engine/journal-log.ts';
import { newRef } from '../../src/graph/refs.ts';
import type { Fd } from '../../src/kernel/port.ts';

/** A file that can be full. */
class Text {
  now = '';
  /** What every write fails with. */
  readonly full: Error[] = [];

  append(text: string): void {
    for (const error of this.full) throw error;
    this.now += text;
  }

  replace(text: string): void {
    for (const error of this.full) throw error;
    this.now = text;
  }

  get state() {
    const read = decodeLog(this.now);
    return read.result === 'entries' ? replay(read.entries) : null;
  }
}

const DEVICE = '0000:01:00.0' as DeviceKey;

describe('a durable journal', () => {
  it('keeps through a recovery which devices nobody gets', () => {
    const text = new Text();
    const journal = new DurableJournal(text, emptyState('boot'));
    journal.taint(DEVICE, 'has no working reset');
    journal.doubt(new Map());
    expect([...journal.tainted()]).toEqual([[DEVICE, 'has no working reset']]);
    expect(text.state?.tainted).toEqual([[DEVICE, 'has no working reset']]);
  });

  it('has no intent of an action that could not be written down, and so was never begun', () => {
    const text = new Text();
    const journal = new DurableJournal(text, emptyState('boot'));
    journal.record('blue', { kind: 'context-opened', fd: 3 as Fd });
    text.full.push(new Error('ENOSPC'));
    const close = { kind: 'close-device', args: { context: 'blue', device: DEVICE } } as const;
    expect(() => journal.begin(close)).toThrow('the journal cannot be written');
    text.full.pop();
    journal.end(journal.begin({ kind: 'open-context', args: { context: 'red' } }));
    expect(journal.intents).toEqual([]);
    expect(text.state?.intents).toEqual([]);
  });

  it('does not grow for ever while an action does not end', () => {
    const text = new Text();
    const journal = new DurableJournal(text, emptyState('boot'));
    const action = { kind: 'open-context', args: { context: 'a'.repeat(1000) } } as const;
    const stuck = journal.begin(action);
    for (let times = 0; times < 300; times += 1) journal.end(journal.begin(action));
    expect(text.now.length).toBeLessThan(80_000);
    expect(text.state?.intents).toEqual([{ id: stuck, action }]);
  });

  it('forgets the name of an IOAS with the IOAS, because its id is given out again', () => {
    const journal = new DurableJournal(new Text(), emptyState('boot'));
    const ref = newRef('blue');
    const container = 'blue';
    journal.record('blue', { kind: 'context-opened', fd: 3 as Fd });
    const made = { container, ref, ioas: 1 as IoasId, deletion: 'allow' } as const;
    journal.record('blue', { kind: 'ioas-allocated', ...made });
    expect(journal.resolve('blue', ref)).toBe(1);
    journal.record('blue', { kind: 'ioas-destroyed', container });
    expect(journal.resolve('blue', ref)).toBeNull();
  });

  it('still knows the tag of a file that was closed here and may be kept there, when its number is another file', () => {
    const text = new Text();
    const journal = new DurableJournal(text, emptyState('boot'));
    const old = journal.keep(9);
    const now = journal.keep(9);
    expect(journal.tagOf(9)).toBe(now);
    expect(journal.state().kept.map(([tag]) => tag)).toEqual([old, now]);
    expect(text.state).toEqual(journal.state());
    journal.drop(9);
    expect(journal.tagOf(9)).toBeNull();
    expect(text.state?.kept.map(([tag]) => tag)).toEqual([old]);
  });
});
