/**
 * The text of a journal: one line an entry, each with a checksum, so that a line that was cut or
 * overwritten is known for what it is. The first line is a whole state, the rest are what followed.
 */
import { crc32 } from 'node:zlib';
import type { DeviceKey } from '../base/ids.ts';
import type { HeldContext, ObjectRef } from '../graph/types.ts';
import type { Action } from '../steps/def.ts';
import type { JournalChange } from './journal.ts';

/** An action that was begun and not ended: whether the kernel has done it is not known. */
export interface Intent {
  readonly id: number;
  readonly action: Action;
}

/** What a journal knows at one moment. */
export interface JournalState {
  readonly bootId: string | null;
  readonly contexts: readonly HeldContext[];
  /** Names of objects that were made in the attempt under way, by context. */
  readonly made: readonly (readonly [context: string, ref: ObjectRef, id: number])[];
  /** Files that are kept elsewhere, by the tag under which they come back. */
  readonly kept: readonly (readonly [tag: string, fd: number])[];
  readonly intents: readonly Intent[];
  /** Devices that came back from a consumer and could not be reset, with the reason. */
  readonly tainted: readonly (readonly [device: DeviceKey, why: string])[];
  /** The next number for an intent or a tag. */
  readonly next: number;
}

/** One line of the log. */
export type JournalEntry =
  | { readonly kind: 'state'; readonly formatVersion: string; readonly state: JournalState }
  | { readonly kind: 'begin'; readonly intent: Intent }
  | { readonly kind: 'end'; readonly id: number }
  | { readonly kind: 'change'; readonly context: string; readonly change: JournalChange }
  | { readonly kind: 'keep'; readonly tag: string; readonly fd: number }
  | { readonly kind: 'drop'; readonly fd: number }
  | { readonly kind: 'taint'; readonly device: DeviceKey; readonly why: string | null };

/** The format that this version writes; another major is refused. */
export const JOURNAL_FORMAT = '1.0';

/** What reading a log came to. */
export type JournalRead =
  | { readonly result: 'entries'; readonly entries: readonly JournalEntry[] }
  /** Nothing was ever written. */
  | { readonly result: 'empty' }
  /** Not a journal, of another major version, or damaged before its last line. */
  | { readonly result: 'refused'; readonly reason: string };

/** An entry as its line. */
export function encodeEntry(entry: JournalEntry): string {
  const text = JSON.stringify(entry, (_key, value: unknown) =>
    typeof value === 'bigint' ? { $bigint: value.toString() } : value,
  );
  return `${checksumOf(text)} ${text}\n`;
}

/**
 * Reads a log. A last line that is cut is left out: an entry is written before what it stands for, so
 * nothing was done that only a cut line would tell of.
 */
export function decodeLog(text: string): JournalRead {
  if (text === '') return { result: 'empty' };
  const lines = text.split('\n');
  const cut = lines.pop() !== '';
  const entries: JournalEntry[] = [];
  for (const [index, line] of lines.entries()) {
    const entry = decodeLine(line);
    if (entry === null) return { result: 'refused', reason: `line ${index + 1} is damaged` };
    entries.push(entry);
  }
  const first = entries[0];
  // The first line is renamed into place whole: a file that holds only a part of it is no journal of ours.
  if (first === undefined) return { result: 'refused', reason: cut ? 'it is cut' : 'it is empty' };
  if (first.kind !== 'state')
    return { result: 'refused', reason: 'it does not begin with a state' };
  if (first.formatVersion.split('.')[0] !== JOURNAL_FORMAT.split('.')[0]) {
    return { result: 'refused', reason: `its format is ${first.formatVersion}` };
  }
  return { result: 'entries', entries };
}

function decodeLine(line: string): JournalEntry | null {
  const text = line.slice(9);
  if (line[8] !== ' ' || checksumOf(text) !== line.slice(0, 8)) return null;
  try {
    return JSON.parse(text, (_key, value: unknown) => revive(value)) as JournalEntry;
  } catch {
    return null;
  }
}

function revive(value: unknown): unknown {
  const { $bigint } = (value ?? {}) as { $bigint?: unknown };
  return typeof $bigint === 'string' ? BigInt($bigint) : value;
}

function checksumOf(text: string): string {
  return crc32(text).toString(16).padStart(8, '0');
}
