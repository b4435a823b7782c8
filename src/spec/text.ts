/** Bytes to text, before any parser sees them: size, UTF-8, control characters. */
import { LineCounter } from 'yaml';
import { issueAt, type TextFile } from './document.ts';
import type { SpecIssue } from './issues.ts';

/** A file as it was read. */
export interface SourceFile {
  /** The path as messages show it. */
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** Sizes up to which files are read, in bytes. */
export const FILE_BYTES_MAX = 1 << 20;
/** Sizes of all files of a config together, in bytes. */
export const SET_BYTES_MAX = 8 << 20;
/** Size of a Host file, in bytes. */
export const HOST_BYTES_MAX = 64 << 20;

/** The text of a file, or why it has none. */
export type Decoded =
  | { readonly file: TextFile; readonly issue: null }
  | { readonly file: null; readonly issue: SpecIssue };

/** Decodes a file and counts its lines. */
export function decodeFile(source: SourceFile, bytesMax: number): Decoded {
  const { path, bytes } = source;
  if (bytes.length > bytesMax) {
    return refuse(source, '', 0, {
      rule: 'AD1004',
      message: `the file has ${bytes.length} bytes, and ${bytesMax} are read at most`,
      remedy: 'split it into several files',
    });
  }
  const bad = firstInvalidUtf8(bytes);
  if (bad !== null) {
    const before = new TextDecoder().decode(bytes.subarray(0, bad));
    return refuse(source, before, before.length, {
      rule: 'AD1002',
      message: `byte 0x${(bytes[bad] ?? 0).toString(16).padStart(2, '0')} is not UTF-8`,
      remedy: 'save the file as UTF-8',
    });
  }
  const text = new TextDecoder().decode(bytes);
  const control = CONTROL.exec(text);
  if (control !== null) {
    return refuse(source, text, control.index, {
      rule: 'AD1003',
      message: `control character ${formatCodePoint(control[0])}`,
      remedy: 'remove it',
    });
  }
  return { file: { path, text, lines: lineCounterOf(text) }, issue: null };
}

/** What YAML does not allow in a document, and lone carriage returns, which editors disagree about. */
const CONTROL =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u0084\u0086-\u009f\ufeff\ufffe\uffff]|\r(?!\n)/;

/** A control character inside a value, where an escape can still put it. */
export function controlIn(text: string): string | null {
  const found = CONTROL.exec(text);
  return found === null ? null : formatCodePoint(found[0]);
}

function formatCodePoint(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
}

function refuse(
  source: SourceFile,
  text: string,
  offset: number,
  issue: Parameters<typeof issueAt>[2],
): Decoded {
  const file = { path: source.path, text, lines: lineCounterOf(text) };
  return { file: null, issue: issueAt(file, offset, issue) };
}

function lineCounterOf(text: string): LineCounter {
  const lines = new LineCounter();
  lines.addNewLine(0);
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) {
    lines.addNewLine(at + 1);
  }
  return lines;
}

/** The index of the first byte that does not belong to well-formed UTF-8. */
function firstInvalidUtf8(bytes: Uint8Array): number | null {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  try {
    decoder.decode(bytes);
    return null;
  } catch {
    return bisect(bytes);
  }
}

/** The decoder does not say where it failed: the longest prefix that it takes, cut parts of a character allowed, ends there. */
function bisect(bytes: Uint8Array): number {
  let good = 0;
  let bad = bytes.length;
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (isPrefix(bytes.subarray(0, middle))) good = middle;
    else bad = middle;
  }
  return good;
}

function isPrefix(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true });
    return true;
  } catch {
    return false;
  }
}
