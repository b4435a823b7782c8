/**
 * One document of a file, as plain values with the way back to its text: every value can say where
 * it stands. Hides the YAML library from the rest.
 */
import { isMap, isPair, isScalar, isSeq, type LineCounter, type Node } from 'yaml';
import type { Place } from './config.ts';
import { excerptOf, type SpecIssue } from './issues.ts';
import type { RuleId } from './rules.ts';

/** A path into a document: keys and indexes. */
export type Path = readonly (string | number)[];

/** What an issue says beyond its place. */
export interface IssueText {
  readonly rule: RuleId;
  readonly message: string;
  readonly remedy: string;
  readonly related?: Place & { readonly message: string };
}

/** The text of a file with the lines counted. */
export interface TextFile {
  readonly path: string;
  readonly text: string;
  readonly lines: LineCounter;
}

/** A parsed document. */
export class SpecDocument {
  readonly file: TextFile;
  /** The document as plain values. */
  readonly value: unknown;
  readonly #root: Node | null;

  constructor(file: TextFile, root: Node | null, value: unknown) {
    this.file = file;
    this.value = value;
    this.#root = root;
  }

  /** Where the value at the path stands; with `key`, where its key stands. A path that leads nowhere ends at its last part that exists. */
  placeOf(path: Path, part: 'value' | 'key' = 'value'): Place {
    return placeAt(this.file, this.#offsetOf(path, part));
  }

  /** The text of a plain scalar as it was written; null where the value is quoted or no scalar. */
  plainSource(path: Path): string | null {
    const node = walk(this.#root, path).value;
    return isScalar(node) && node.type === 'PLAIN' ? (node.source ?? null) : null;
  }

  /** An issue at the value (or the key) that the path leads to. */
  issue(path: Path, text: IssueText, part: 'value' | 'key' = 'value'): SpecIssue {
    return issueAt(this.file, this.#offsetOf(path, part), text);
  }

  #offsetOf(path: Path, part: 'value' | 'key'): number {
    const found = walk(this.#root, path);
    const node = part === 'key' ? (found.key ?? found.value) : (found.value ?? found.key);
    return node?.range?.[0] ?? found.fallback;
  }
}

/** The place of an offset in a file. */
export function placeAt(file: TextFile, offset: number): Place {
  const { line, col } = file.lines.linePos(Math.min(offset, file.text.length));
  return { file: file.path, line: Math.max(line, 1), column: Math.max(col, 1) };
}

/** An issue at an offset of a file. */
export function issueAt(file: TextFile, offset: number, text: IssueText): SpecIssue {
  const place = placeAt(file, offset);
  const start = file.lines.lineStarts[place.line - 1] ?? 0;
  const stop = file.text.indexOf('\n', start);
  const line = file.text.slice(start, stop < 0 ? undefined : stop);
  const { related, ...rest } = text;
  return { ...place, ...rest, ...excerptOf(line, place.column), related: related ?? null };
}

interface Found {
  readonly key: Node | null;
  readonly value: Node | null;
  /** Where the last part of the path that exists begins. */
  readonly fallback: number;
}

function walk(root: Node | null, path: Path): Found {
  let found: Found = { key: null, value: root, fallback: root?.range?.[0] ?? 0 };
  for (const part of path) {
    const next = child(found.value, part);
    if (next === null) return { ...found, value: null, key: found.key ?? found.value };
    found = { ...next, fallback: (next.key ?? next.value)?.range?.[0] ?? found.fallback };
  }
  return found;
}

function child(node: Node | null, part: string | number): Omit<Found, 'fallback'> | null {
  if (isSeq(node) && typeof part === 'number') {
    const item = node.items[part];
    return item === undefined ? null : { key: null, value: item as Node };
  }
  if (!isMap(node)) return null;
  for (const pair of node.items) {
    if (!isPair(pair) || !isScalar(pair.key) || String(pair.key.value) !== String(part)) continue;
    return { key: pair.key, value: (pair.value as Node | null) ?? null };
  }
  return null;
}
