/**
 * A journal that outlives the process: every intent is written before its first call, every change
 * after the kernel made it. Not here: where it is written (daemon/journal-file.ts), and what is made
 * of an intent that was never ended (recover.ts).
 */

import { AutodomainError } from '../base/errors.ts';
import type { DeviceKey } from '../base/ids.ts';
import type { HeldContext, ObjectRef } from '../graph/types.ts';
import type { Action } from '../steps/def.ts';
import { type Journal, type JournalChange, MemoryJournal } from './journal.ts';
import {
  encodeEntry,
  type Intent,
  JOURNAL_FORMAT,
  type JournalEntry,
  type JournalState,
} from './journal-log.ts';

/** A journal shorter than this is never written anew for its length alone. */
const COMPACT_BYTES_MIN = 1 << 16;

/** Where a journal is written. Both calls return when the text would survive a crash. */
export interface JournalFile {
  append(text: string): void;
  /** Puts `text` in the place of all that was written, as a whole or not at all. */
  replace(text: string): void;
}

/** A state in which nothing is held. */
export function emptyState(bootId: string | null): JournalState {
  return { bootId, contexts: [], made: [], kept: [], intents: [], tainted: [], next: 1 };
}

/** A journal with a file behind it. */
export class DurableJournal implements Journal {
  readonly bootId: string | null;
  readonly #file: JournalFile;
  #memory: MemoryJournal;
  readonly #intents = new Map<number, Action>();
  /** Files that are kept elsewhere, by their tags. `NO_FD`: ours is closed, and whether the other is gone is not known. */
  #kept = new Map<string, number>();
  #next: number;
  /** Bytes of the last whole state, and of what came after it. */
  #stateBytes = 0;
  #bytesSince = 0;
  /** Writes that failed since the last good one: what the file ends with is not known, so the next one is the whole state. */
  #failures = 0;

  constructor(file: JournalFile, state: JournalState) {
    this.bootId = state.bootId;
    this.#file = file;
    this.#memory = new MemoryJournal(state.contexts, state.made, state.tainted);
    for (const { id, action } of state.intents) this.#intents.set(id, action);
    for (const [tag, fd] of state.kept) this.#kept.set(tag, fd);
    this.#next = state.next;
    this.compact();
  }

  get generation(): number {
    return this.#memory.generation;
  }

  /** Actions that were begun and not ended, in order. */
  get intents(): readonly Intent[] {
    return [...this.#intents].map(([id, action]) => ({ id, action }));
  }

  contexts(): readonly HeldContext[] {
    return this.#memory.contexts();
  }

  begin(action: Action): number {
    const id = this.#number();
    this.#intents.set(id, action);
    try {
      this.#append({ kind: 'begin', intent: { id, action } });
    } catch (error) {
      // Nobody makes a call on it, and nobody will end it: a recovery must not finish what never began.
      this.#intents.delete(id);
      throw error;
    }
    return id;
  }

  end(id: number): void {
    this.#intents.delete(id);
    this.#append({ kind: 'end', id });
    if (this.#bytesSince > Math.max(COMPACT_BYTES_MIN, this.#stateBytes)) this.compact();
  }

  record(context: string, change: JournalChange): void {
    this.#memory.record(context, change);
    this.#append({ kind: 'change', context, change });
  }

  taint(device: DeviceKey, why: string | null): void {
    this.#memory.taint(device, why);
    this.#append({ kind: 'taint', device, why });
  }

  tainted(): ReadonlyMap<DeviceKey, string> {
    return this.#memory.tainted();
  }

  resolve(context: string, ref: ObjectRef): number | null {
    return this.#memory.resolve(context, ref);
  }

  /** Notes that a file will be kept elsewhere, and returns the tag under which it comes back. */
  keep(fd: number): string {
    const tag = `f${this.#number()}`;
    keepAs(this.#kept, tag, fd);
    this.#append({ kind: 'keep', tag, fd });
    return tag;
  }

  /** The tag of a file that is kept elsewhere; null: it is not. */
  tagOf(fd: number): string | null {
    return tagIn(this.#kept, fd);
  }

  /** Notes that a file is no longer kept elsewhere. */
  drop(fd: number): void {
    const tag = this.tagOf(fd);
    if (tag === null) return;
    this.#kept.delete(tag);
    this.#append({ kind: 'drop', fd });
  }

  /** After a restart: what came back, under its new numbers, in one write. */
  adopt(contexts: readonly HeldContext[], kept: ReadonlyMap<number, string>): void {
    this.#memory = new MemoryJournal(contexts, this.#memory.made(), [...this.tainted()]);
    this.#kept = new Map([...kept].map(([fd, tag]) => [tag, fd]));
    this.compact();
  }

  /** Writes down what a recovery could not explain, by context, instead of earlier doubts. */
  doubt(doubts: ReadonlyMap<string, readonly string[]>): void {
    const contexts = this.contexts().map(({ doubts: _, ...context }) => {
      const now = doubts.get(context.name);
      return now === undefined ? context : { ...context, doubts: now };
    });
    this.#memory = new MemoryJournal(contexts, this.#memory.made(), [...this.tainted()]);
    this.compact();
  }

  /** What the journal knows now. */
  state(): JournalState {
    return {
      bootId: this.bootId,
      contexts: this.contexts(),
      made: this.#memory.made(),
      kept: [...this.#kept],
      intents: this.intents,
      tainted: [...this.tainted()],
      next: this.#next,
    };
  }

  /** Writes the state in the place of all that led to it. */
  compact(): void {
    const state = this.state();
    const text = encodeEntry({ kind: 'state', formatVersion: JOURNAL_FORMAT, state });
    this.#write(() => this.#file.replace(text));
    this.#stateBytes = text.length;
    this.#bytesSince = 0;
  }

  #number(): number {
    this.#next += 1;
    return this.#next - 1;
  }

  #append(entry: JournalEntry): void {
    if (this.#failures > 0) {
      this.compact();
      return;
    }
    const text = encodeEntry(entry);
    this.#write(() => this.#file.append(text));
    this.#bytesSince += text.length;
  }

  #write(work: () => void): void {
    this.#failures += 1;
    try {
      work();
    } catch (cause) {
      const remedy = 'make room in the run directory; nothing is done that cannot be written down';
      throw new AutodomainError('io', 'the journal cannot be written', { cause, remedy });
    }
    this.#failures = 0;
  }
}

/** The state that a log comes to. The entries begin with a state. */
export function replay(entries: readonly JournalEntry[]): JournalState {
  const [first, ...rest] = entries;
  if (first?.kind !== 'state') throw new Error('a log begins with a state');
  const { state } = first;
  const memory = new MemoryJournal(state.contexts, state.made, state.tainted);
  const intents = new Map(state.intents.map(({ id, action }) => [id, action]));
  const kept = new Map(state.kept);
  let { next } = state;
  for (const entry of rest) {
    switch (entry.kind) {
      case 'state':
        throw new Error('a log has one state');
      case 'begin':
        intents.set(entry.intent.id, entry.intent.action);
        next = Math.max(next, entry.intent.id + 1);
        break;
      case 'end':
        intents.delete(entry.id);
        break;
      case 'change':
        memory.record(entry.context, entry.change);
        break;
      case 'keep':
        keepAs(kept, entry.tag, entry.fd);
        next = Math.max(next, Number(entry.tag.slice(1)) + 1);
        break;
      case 'drop':
        kept.delete(tagIn(kept, entry.fd) ?? '');
        break;
      case 'taint':
        memory.taint(entry.device, entry.why);
        break;
    }
  }
  return {
    bootId: state.bootId,
    contexts: memory.contexts(),
    made: memory.made(),
    kept: [...kept],
    tainted: [...memory.tainted()],
    intents: [...intents].sort(([a], [b]) => a - b).map(([id, action]) => ({ id, action })),
    next,
  };
}

const NO_FD = -1;

/** A number that is given out again belongs to the new file. The old one may still come back, so its tag stays known. */
function keepAs(kept: Map<string, number>, tag: string, fd: number): void {
  const before = tagIn(kept, fd);
  if (before !== null) kept.set(before, NO_FD);
  kept.set(tag, fd);
}

function tagIn(kept: ReadonlyMap<string, number>, fd: number): string | null {
  for (const [tag, its] of kept) if (its === fd) return tag;
  return null;
}
