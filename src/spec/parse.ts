/**
 * Text to documents: YAML 1.2 with everything left out that makes a config say something else than
 * it shows. Aliases, anchors, merge keys, tags and directives are refused; plain text that a
 * YAML 1.1 reader would take for a number, a truth value or a date is refused.
 */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  parseAllDocuments,
  type Scalar,
} from 'yaml';
import { issueAt, type Path, SpecDocument, type TextFile } from './document.ts';
import type { SpecIssue } from './issues.ts';
import { controlIn } from './text.ts';

/** The documents of a file. Any issue means that the file says nothing. */
export interface Parsed {
  readonly documents: readonly SpecDocument[];
  readonly issues: readonly SpecIssue[];
}

const DEPTH_MAX = 64;
const NODES_MAX = 250_000;

/** Parses the YAML documents of a file. Never throws. */
export function parseYaml(file: TextFile, nodesMax = NODES_MAX): Parsed {
  const docs = parseAllDocuments(file.text, {
    version: '1.2',
    schema: 'core',
    strict: true,
    uniqueKeys: true,
    stringKeys: true,
    merge: false,
    resolveKnownTags: false,
    prettyErrors: false,
    logLevel: 'silent',
  });
  const issues: SpecIssue[] = [];
  const documents: SpecDocument[] = [];
  for (const doc of Array.isArray(docs) ? docs : []) {
    const before = issues.length;
    issues.push(...directiveIssues(file, doc), ...parserIssues(file, doc));
    if (issues.length > before || doc.contents === null) continue;
    const reader = new NodeReader(file, issues, nodesMax);
    const value = reader.read(doc.contents as Node, 0);
    if (value !== null && !reader.isMisread)
      documents.push(new SpecDocument(file, doc.contents as Node, value));
  }
  return { documents, issues };
}

function directiveIssues(file: TextFile, doc: Document.Parsed): SpecIssue[] {
  if (doc.directives?.yaml.explicit !== true && !/^%/m.test(file.text)) return [];
  const at = file.text.search(/^%/m);
  if (at < 0) return [];
  return [
    issueAt(file, at, {
      rule: 'AD1009',
      message: 'a directive (`%...`) changes how the rest of the file is read',
      remedy: 'remove the line; the files are YAML 1.2',
    }),
  ];
}

function parserIssues(file: TextFile, doc: Document.Parsed): SpecIssue[] {
  return [...doc.errors, ...doc.warnings].map((problem) => {
    const offset = problem.pos[0];
    const message = problem.message.split('\n')[0] ?? problem.code;
    switch (problem.code) {
      case 'DUPLICATE_KEY':
        return issueAt(file, offset, {
          rule: 'AD1007',
          message: 'the key is there twice',
          remedy: 'keep one of them',
        });
      case 'TAG_RESOLVE_FAILED':
        return issueAt(file, offset, {
          rule: 'AD1009',
          message: 'tags (`!...`) are not allowed',
          remedy: 'remove the tag',
        });
      case 'TAB_AS_INDENT':
        return issueAt(file, offset, {
          rule: 'AD1006',
          message: 'a tab cannot indent',
          remedy: 'indent with spaces',
        });
      default:
        return issueAt(file, offset, {
          rule: 'AD1006',
          message: `not valid YAML: ${message}`,
          remedy: 'correct the syntax here or just before',
        });
    }
  });
}

/** Turns nodes into plain values and refuses what must not be there. One walk, bounded in depth and in nodes. */
class NodeReader {
  readonly #file: TextFile;
  readonly #issues: SpecIssue[];
  readonly #nodesMax: number;
  #nodes = 0;
  /** True where part of the document was refused, so that what is left of it would only give false problems. */
  isMisread = false;

  constructor(file: TextFile, issues: SpecIssue[], nodesMax: number) {
    this.#file = file;
    this.#issues = issues;
    this.#nodesMax = nodesMax;
  }

  read(node: Node | null, depth: number): unknown {
    this.#nodes += 1;
    if (node === null) return null;
    if (depth > DEPTH_MAX || this.#nodes > this.#nodesMax) return this.#tooMuch(node, depth);
    if (isAlias(node)) return this.#refuseAlias(node);
    if ('anchor' in node && node.anchor) return this.#refuseAlias(node);
    if (node.tag !== undefined) return this.#refuseTag(node);
    if (isScalar(node)) return this.#scalar(node);
    if (isSeq(node)) return node.items.map((item) => this.read(item as Node, depth + 1));
    if (isMap(node)) return this.#map(node.items as Pair<Node, Node | null>[], depth);
    return null;
  }

  #map(pairs: readonly Pair<Node, Node | null>[], depth: number): Record<string, unknown> {
    const record: Record<string, unknown> = {};
    for (const { key, value } of pairs) {
      this.read(key, depth + 1);
      const name = isScalar(key) ? String(key.value) : '';
      if (name === '<<') {
        this.#issue(key, 'AD1008', 'merge keys (`<<`) are not allowed', 'write the fields out');
        continue;
      }
      const property = { value: this.read(value, depth + 1), enumerable: true };
      Object.defineProperty(record, name, property);
    }
    return record;
  }

  #scalar(node: Scalar): unknown {
    const { value } = node;
    if (typeof value === 'string') {
      const control = controlIn(value);
      if (control !== null) {
        this.#issue(node, 'AD1003', `control character ${control} in a value`, 'remove it');
      }
    }
    const plain = node.type === 'PLAIN' ? (node.source ?? '') : '';
    const reading = plain === '' ? null : differentReading(plain, value);
    if (reading !== null) {
      this.#issue(
        node,
        'AD1011',
        `\`${plain}\` is ${reading} to YAML 1.1 readers`,
        `write "${plain}" in quotes`,
      );
    }
    return value;
  }

  #refuseAlias(node: Node): null {
    this.isMisread = true;
    this.#issue(
      node,
      'AD1008',
      'anchors (`&`) and aliases (`*`) are not allowed',
      'write the value out at each place',
    );
    return null;
  }

  #refuseTag(node: Node): null {
    this.isMisread = true;
    this.#issue(node, 'AD1009', 'tags (`!...`) are not allowed', 'remove the tag');
    return null;
  }

  #tooMuch(node: Node, depth: number): null {
    this.isMisread = true;
    const message =
      depth > DEPTH_MAX
        ? `nested more than ${DEPTH_MAX} levels deep`
        : `more than ${this.#nodesMax} values`;
    if (this.#nodes <= this.#nodesMax + 1) this.#issue(node, 'AD1010', message, 'make it simpler');
    return null;
  }

  #issue(node: Node, rule: SpecIssue['rule'], message: string, remedy: string): void {
    this.#issues.push(issueAt(this.#file, node.range?.[0] ?? 0, { rule, message, remedy }));
  }
}

const YAML_1_1_READINGS: readonly (readonly [RegExp, string])[] = [
  [/^[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$/, 'a base-60 number'],
  [/^(y|Y|yes|Yes|YES|n|N|no|No|NO|on|On|ON|off|Off|OFF)$/, 'a truth value'],
  [/^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?$/, 'a date'],
  [/^[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|[1-9][0-9_]*)$/, 'a number'],
  [/^[-+]?([0-9][0-9_]*)?\.[0-9_]+([eE][-+][0-9]+)?$/, 'a number'],
];

/** What YAML 1.1 makes of plain text that YAML 1.2 leaves text, or of a number with a leading zero. */
function differentReading(plain: string, value: unknown): string | null {
  if (typeof value === 'number') return /^[-+]?0[0-9]+$/.test(plain) ? 'an octal number' : null;
  if (typeof value !== 'string') return null;
  return YAML_1_1_READINGS.find(([pattern]) => pattern.test(plain))?.[1] ?? null;
}

/** The path of an ajv instance path such as `/spec/devices/0/pci`. */
export function pathOfPointer(root: unknown, pointer: string): Path {
  const parts = pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  let value: unknown = root;
  return parts.map((part) => {
    const index = Array.isArray(value) ? Number(part) : part;
    value = (value as Record<string | number, unknown> | null)?.[index];
    return index;
  });
}
