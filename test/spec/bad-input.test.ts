/** What a config can be wrong in: each input gives its rule at its place, and nothing throws. */
import { describe, expect, it } from 'vitest';
import { listIssues } from '../../src/spec/issues.ts';
import { readConfig } from '../../src/spec/read-config.ts';

const HEAD =
  'apiVersion: autodomain.dev/v1alpha1\nkind: Container\nmetadata: { name: blue }\nspec:\n';

function issuesOf(input: string | Uint8Array): readonly string[] {
  const bytes = typeof input === 'string' ? new TextEncoder().encode(input) : input;
  const { issues } = readConfig([{ path: 'c.yaml', bytes }]);
  return (issues?.issues ?? []).map(({ rule, line, column }) => `${rule} ${line}:${column}`);
}

const BAD: readonly (readonly [name: string, input: string | Uint8Array, expected: string])[] = [
  ['not UTF-8', new Uint8Array([...new TextEncoder().encode('a: b\nc: '), 0xff]), 'AD1002 2:4'],
  ['NUL', 'a: b\u0000', 'AD1003 1:5'],
  ['NUL by escape', `${HEAD}  devices: ["\\0"]\n`, 'AD1003 5:13'],
  ['lone carriage return', 'a: b\rc: d\n', 'AD1003 1:5'],
  ['tab indent', 'a:\n\tb: c\n', 'AD1006 2:1'],
  ['alias', `${HEAD}  devices: &d []\n`, 'AD1008 5:15'],
  ['alias use', `${HEAD}  formerly: *d\n`, 'AD1008 5:13'],
  ['cycle', 'a: &a [*a]\n', 'AD1008 1:7'],
  ['merge key', `${HEAD}  <<: { nesting: true }\n`, 'AD1008 5:3'],
  ['tag', `${HEAD}  nesting: !!bool true\n`, 'AD1009 5:19'],
  ['unknown tag', `${HEAD}  nesting: !x true\n`, 'AD1009 5:12'],
  ['directive', `%YAML 1.1\n---\n${HEAD}`, 'AD1009 1:1'],
  ['duplicate key', `${HEAD}  nesting: true\n  nesting: false\n`, 'AD1007 6:3'],
  ['too deep', `${'['.repeat(100)}${']'.repeat(100)}`, 'AD1010 1:66'],
  ['unknown key', `${HEAD}  devicess: []\n`, 'AD2002 5:3'],
  ['wrong type', `${HEAD}  devices: {}\n`, 'AD2003 5:12'],
  ['number for a vendor', `${HEAD}  devices: [{ select: { vendor: 8086 } }]\n`, 'AD2003 5:33'],
  ['float for an id', `${HEAD}  devices: [{ select: { device: 1e10 } }]\n`, 'AD2003 5:33'],
  ['base-60 address', `${HEAD}  devices: [{ pci: 0000:03:00.0 }]\n`, 'AD1011 5:20'],
  [
    '1.1 truth value',
    'apiVersion: autodomain.dev/v1alpha1\nkind: Container\nmetadata: { name: blue, labels: { a: yes } }\nspec: {}\n',
    'AD1011 3:38',
  ],
  [
    'octal count',
    `${HEAD}  devices: [{ select: { vendor: "8086" }, count: 017 }]\n`,
    'AD1011 5:50',
  ],
  [
    '64-bit overflow',
    `${HEAD}  iova: { allow: [{ start: "0x0", last: "0x10000000000000000" }] }\n`,
    'AD2006 5:41',
  ],
  [
    'address as a number',
    `${HEAD}  iova: { allow: [{ start: 0x1000, last: "0x2000" }] }\n`,
    'AD2003 5:28',
  ],
  [
    'count below one',
    `${HEAD}  devices: [{ select: { vendor: "8086" }, count: 0 }]\n`,
    'AD2007 5:50',
  ],
  ['wrong word', `${HEAD}  deletion: alow\n`, 'AD2005 5:13'],
  ['typo in apiVersion', 'apiVersion: autodomain.dev/v1\nkind: Container\n', 'AD2001 1:13'],
  ['missing kind', 'apiVersion: autodomain.dev/v1alpha1\n', 'AD2001 1:1'],
  ['Host in a config', 'apiVersion: autodomain.dev/v1alpha1\nkind: Host\n', 'AD2001 2:7'],
  ['a list', '- a\n', 'AD2001 1:1'],
  [
    'missing metadata',
    'apiVersion: autodomain.dev/v1alpha1\nkind: Container\nspec: {}\n',
    'AD2004 1:1',
  ],
  [
    'two kinds in a claim',
    `${HEAD}  devices: [{ pci: "0000:03:00.0", mdev: 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001 }]\n`,
    'AD3003 5:13',
  ],
  [
    'count without select',
    `${HEAD}  devices: [{ pci: "0000:03:00.0", count: 2 }]\n`,
    'AD3003 5:13',
  ],
  [
    'one address',
    `${HEAD}  iova: { allow: [{ start: "0x1000", last: "0x1000" }] }\n`,
    'AD3005 5:19',
  ],
  ['active without mode', `${HEAD}  dirtyTracking: { active: true }\n`, 'AD3006 5:28'],
  ['empty vf range', `${HEAD}  devices: [{ select: { vf: "7-0" } }]\n`, 'AD3005 5:29'],
  ['cut mid-key', `${HEAD}  devices: [{ pc`, 'AD1006 5:17'],
  ['__proto__', `${HEAD}  __proto__: { nesting: true }\n`, 'AD2002 5:3'],
];

describe('bad input', () => {
  it.each(BAD)('%s', (_name, input, expected) => {
    expect(issuesOf(input)).toContain(expected);
  });

  it('reads CRLF and a byte-order mark', () => {
    expect(issuesOf(`\ufeff${HEAD}  devices: []\n`.replaceAll('\n', '\r\n'))).toEqual([]);
  });

  it('takes an empty file, a comment and empty documents for nothing', () => {
    for (const text of ['', '# nothing\n', '---\n---\n']) {
      const { config } = readConfig([{ path: 'c.yaml', bytes: new TextEncoder().encode(text) }]);
      expect(config?.containers).toEqual([]);
    }
  });

  it('names both places of a device that is claimed twice', () => {
    const other = HEAD.replace('blue', 'red');
    const devices = '  devices: [{ pci: "0000:03:00.0" }]\n';
    const { issues } = readConfig([
      { path: 'a.yaml', bytes: new TextEncoder().encode(HEAD + devices) },
      { path: 'b.yaml', bytes: new TextEncoder().encode(other + devices) },
    ]);
    expect(issues?.issues).toMatchObject([
      { rule: 'AD3002', file: 'b.yaml', line: 5, related: { file: 'a.yaml', line: 5 } },
    ]);
  });

  it('accepts the same device on hosts that differ, and not where a pattern may match both', () => {
    const claim = (name: string, hosts: string): string =>
      `${HEAD.replace('blue', name)}  hosts: [${hosts}]\n  devices: [{ pci: "0000:03:00.0" }]\n`;
    expect(issuesOf(`${claim('a', 'n1')}---\n${claim('b', 'n2')}`)).toEqual([]);
    expect(issuesOf(`${claim('a', 'n1')}---\n${claim('b', '"n*"')}`)).toHaveLength(1);
  });

  it('refuses a rename onto a living name, naming it', () => {
    const text = `${HEAD}  formerly: [red]\n---\n${HEAD.replace('blue', 'red')}  nesting: false\n`;
    expect(issuesOf(text)).toEqual(['AD3004 3:19']);
  });

  it('stops at fifty problems and counts the rest', () => {
    const many = Array.from({ length: 80 }, (_, i) => `  k${i}: 1\n`).join('');
    const { issues } = readConfig([
      { path: 'c.yaml', bytes: new TextEncoder().encode(HEAD + many) },
    ]);
    expect(issues).toMatchObject({ leftOut: 30 });
    expect(issues?.issues).toHaveLength(50);
    expect(listIssues([])).toEqual({ issues: [], leftOut: 0 });
  });

  it('does not expand a bomb', () => {
    const lines = ['a0: &a0 [x]'];
    for (let i = 1; i < 30; i += 1) lines.push(`a${i}: &a${i} [*a${i - 1}, *a${i - 1}]`);
    expect(issuesOf(lines.join('\n')).every((issue) => issue.startsWith('AD1008'))).toBe(true);
  });

  it('accepts plain text that kustomize strips the quotes of', () => {
    expect(issuesOf(`${HEAD}  devices: [{ pci: 0000:3b:00.2 }]\n`)).toEqual([]);
  });
});
