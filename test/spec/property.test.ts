/** Any bytes at all: reading ends, throws nothing, and points inside the file. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatIssues } from '../../src/spec/format.ts';
import type { IssueList } from '../../src/spec/issues.ts';
import { readConfig } from '../../src/spec/read-config.ts';
import { readHost } from '../../src/spec/read-host.ts';

const VALID = `apiVersion: autodomain.dev/v1alpha1
kind: Container
metadata: { name: blue, labels: { a: b } }
spec:
  dirtyTracking: { mode: preferred, by: either }
  iova: { allow: [{ start: "0x1000", last: "0x1fff" }], hugePages: false }
  devices:
    - pci: "0000:3b:00.2"
    - select: { vendor: "8086", vf: "0-7" }
      count: 2
`;

function check(bytes: Uint8Array): void {
  for (const { issues } of [readConfig([{ path: 'f', bytes }]), readHost({ path: 'f', bytes })]) {
    if (issues !== null) checkPlaces(issues, bytes);
  }
}

function checkPlaces(list: IssueList, bytes: Uint8Array): void {
  const lines = new TextDecoder().decode(bytes).split('\n');
  for (const { line, column, message, remedy } of list.issues) {
    expect(line).toBeGreaterThanOrEqual(1);
    expect(line).toBeLessThanOrEqual(lines.length);
    expect(column).toBeGreaterThanOrEqual(1);
    expect(column).toBeLessThanOrEqual((lines[line - 1]?.length ?? 0) + 2);
    expect(message).not.toBe('');
    expect(remedy).not.toBe('');
  }
  expect(formatIssues(list)).toContain('error AD');
}

describe('reading', () => {
  it('survives any bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), check), { numRuns: 300 });
  });

  it('survives any change of a valid document', () => {
    const piece = fc.constantFrom(
      '*',
      '&a',
      '!!str ',
      '<<: ',
      '[',
      '{',
      ']',
      '}',
      '\t',
      '"',
      "'",
      '|',
      '- ',
      ': ',
      '\n',
      '%',
      '---\n',
      '0x',
      '1e10',
      '\u0000',
      '~',
      '?',
      ',',
    );
    const edit = fc.tuple(fc.nat(VALID.length), fc.nat(12), piece);
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 6 }), (edits) => {
        let text = VALID;
        for (const [at, length, insert] of edits) {
          text = text.slice(0, at) + insert + text.slice(at + length);
        }
        check(new TextEncoder().encode(text));
      }),
      { numRuns: 500 },
    );
  });

  it('survives any value in any place', () => {
    const value = fc.jsonValue({ maxDepth: 5 });
    fc.assert(
      fc.property(value, value, value, (metadata, spec, status) => {
        for (const kind of ['Container', 'Host']) {
          const document = { apiVersion: 'autodomain.dev/v1alpha1', kind, metadata, spec, status };
          check(new TextEncoder().encode(JSON.stringify(document)));
        }
      }),
      { numRuns: 200 },
    );
  });
});
