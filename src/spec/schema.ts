/**
 * The schema's verdict in our words: what is wrong, where, and what to write. The validators are
 * made ahead from the schema, and their errors carry the schema that was broken.
 */
import { assertNever } from '../base/assert.ts';
import type { IssueText, Path, SpecDocument } from './document.ts';
import type { SpecIssue } from './issues.ts';
import { nearest } from './nearest.ts';
import { pathOfPointer } from './parse.ts';

/** An error of a generated validator, as far as we use it. Source: ajv, `ErrorObject` with `verbose`. */
interface SchemaError {
  readonly instancePath: string;
  readonly keyword: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly schema: unknown;
  readonly parentSchema: { readonly description?: string; readonly properties?: object };
  readonly data: unknown;
}

/** A generated validator. */
export interface Validator {
  (value: unknown): boolean;
  errors?: readonly unknown[] | null;
}

/** Checks a document against the schema. Empty: its value has the shape that the generated types promise. */
export function schemaIssues(document: SpecDocument, validate: Validator): readonly SpecIssue[] {
  if (validate(document.value)) return [];
  return ((validate.errors ?? []) as readonly SchemaError[]).map((error) => {
    const path = pathOfPointer(document.value, error.instancePath);
    return issueOf(document, path, error);
  });
}

function issueOf(document: SpecDocument, path: Path, error: SchemaError): SpecIssue {
  const field = fieldName(path);
  switch (error.keyword) {
    case 'additionalProperties':
      return unknownKey(document, path, error);
    case 'propertyNames':
      return document.issue([...path, String(error.params['propertyName'])], badName(error), 'key');
    case 'required': {
      const missing = String(error.params['missingProperty']);
      return document.issue(
        path,
        {
          rule: 'AD2004',
          message: `${path.length === 0 ? 'the document' : `\`${field}\``} lacks \`${missing}\``,
          remedy: `add \`${missing}:\``,
        },
        'key',
      );
    }
    case 'type':
      return document.issue(path, wrongType(document, path, error));
    case 'const':
    case 'enum':
      return document.issue(path, wrongWord(field, error));
    case 'pattern':
      return document.issue(path, {
        rule: 'AD2006',
        message: `${show(error.data)} is not a valid \`${field}\``,
        remedy: describe(error),
      });
    default:
      return document.issue(path, outOfBounds(field, error));
  }
}

function unknownKey(document: SpecDocument, path: Path, error: SchemaError): SpecIssue {
  const key = String(error.params['additionalProperty']);
  const known = Object.keys(error.parentSchema.properties ?? {});
  const guess = nearest(key, known);
  return document.issue(
    [...path, key],
    {
      rule: 'AD2002',
      message: `unknown key \`${key}\``,
      remedy:
        guess === null ? `known keys here: ${known.join(', ')}` : `did you mean \`${guess}\`?`,
    },
    'key',
  );
}

function badName(error: SchemaError): IssueText {
  return {
    rule: 'AD2006',
    message: `\`${String(error.params['propertyName'])}\` is not a valid key here`,
    remedy: 'use letters, digits, `.`, `_`, `/` and `-`',
  };
}

function wrongType(document: SpecDocument, path: Path, error: SchemaError): IssueText {
  const wanted = String(error.params['type']);
  const plain = document.plainSource(path);
  const field = fieldName(path);
  if (wanted === 'string' && plain !== null) {
    return {
      rule: 'AD2003',
      message: `\`${field}\` is text, and YAML reads ${plain} as ${nameOfType(error.data)}`,
      remedy: `write "${plain}" in quotes`,
    };
  }
  return {
    rule: 'AD2003',
    message: `\`${field}\` is ${nameOfType(error.data)}, and ${TYPE_NAMES[wanted] ?? wanted} is needed`,
    remedy: describe(error),
  };
}

function wrongWord(field: string, error: SchemaError): IssueText {
  const schema = error.schema;
  const words = (Array.isArray(schema) ? schema : [schema]).map(String);
  const guess = typeof error.data === 'string' ? nearest(error.data, words) : null;
  return {
    rule: 'AD2005',
    message: `${show(error.data)} is not allowed for \`${field}\``,
    remedy:
      guess === null
        ? `write ${words.length === 1 ? '' : 'one of '}${words.join(', ')}`
        : `did you mean ${guess}?`,
  };
}

function outOfBounds(field: string, error: SchemaError): IssueText {
  const { params, keyword } = error;
  const limit = String(params['limit'] ?? '');
  const sentence = BOUNDS[keyword]?.(limit) ?? `breaks the rule ${keyword}`;
  return { rule: 'AD2007', message: `\`${field}\` ${sentence}`, remedy: describe(error) };
}

const BOUNDS: Readonly<Record<string, (limit: string) => string>> = {
  minimum: (limit) => `is less than ${limit}`,
  maximum: (limit) => `is more than ${limit}`,
  minItems: (limit) => `needs ${limit} or more entries`,
  maxItems: (limit) => `has more than ${limit} entries`,
  minProperties: (limit) => `needs ${limit} or more fields`,
  maxProperties: (limit) => `has more than ${limit} fields`,
};

const TYPE_NAMES: Readonly<Record<string, string>> = {
  string: 'text',
  integer: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map',
};

type JsonType = 'null' | 'list' | 'map' | 'string' | 'number' | 'boolean' | 'other';

function typeOf(value: unknown): JsonType {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'list';
  const type = typeof value;
  if (type === 'object') return 'map';
  return type === 'string' || type === 'number' || type === 'boolean' ? type : 'other';
}

function nameOfType(value: unknown): string {
  const type = typeOf(value);
  switch (type) {
    case 'null':
      return 'empty';
    case 'list':
      return 'a list';
    case 'map':
      return 'a map';
    case 'string':
      return 'text';
    case 'number':
      return 'a number';
    case 'boolean':
      return 'true or false';
    case 'other':
      return 'something else';
    default:
      return assertNever(type);
  }
}

function describe(error: SchemaError): string {
  const text = error.parentSchema.description ?? 'see the schema';
  return text.charAt(0).toLowerCase() + text.slice(1).replace(/\.$/, '');
}

function show(value: unknown): string {
  const text = typeof value === 'string' ? `"${value}"` : String(JSON.stringify(value));
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** The path as people write it: `spec.devices[0].pci`. */
export function fieldName(path: Path): string {
  return path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`))
    .join('')
    .replace(/^\./, '');
}
