/** What a Host file can be wrong in: each contradiction gives its rule at its place. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readHost } from '../../src/spec/read-host.ts';
import type { HostDocument } from '../../src/spec/types.generated.ts';

const GOOD = readFileSync('test/cases/host.yaml', 'utf8');

function issuesOf(text: string): readonly string[] {
  const { issues } = readHost({ path: 'host.yaml', bytes: new TextEncoder().encode(text) });
  return (issues?.issues ?? []).map(({ rule, line, message }) => `${rule} ${line}: ${message}`);
}

/** The line of the good host that holds a text, changed; the rest as it is. */
function changed(from: string, to: string): readonly string[] {
  expect(GOOD).toContain(from);
  return issuesOf(GOOD.replace(from, to));
}

const lineOf = (text: string): number =>
  GOOD.split('\n').findIndex((line) => line.includes(text)) + 1;

function withStatus(status: object): readonly string[] {
  return issuesOf(`${GOOD}status: ${JSON.stringify(status)}\n`);
}

const A = { pci: '0000:01:00.0', devId: 2, to: 3 };
const context = (containers: readonly object[], bound: readonly object[] = []): object => ({
  contexts: [{ name: 'x', containers, bound }],
});
const container = (more: object): object => ({
  name: 'c',
  ioas: 1,
  hwpts: [{ id: 3, dirtyTracking: 'none' }],
  ...more,
});

describe('a Host file', () => {
  it('is good as it stands, as YAML and as JSON', () => {
    const { host } = readHost({ path: 'h', bytes: new TextEncoder().encode(GOOD) });
    expect(host).not.toBeNull();
    expect(issuesOf(JSON.stringify(host))).toEqual([]);
  });

  it('names a reference to nothing', () => {
    const line = lineOf('0000:01:00.0');
    expect(changed('"0000:01:00.0", group: 1', '"0000:01:00.0", group: 99')).toEqual([
      `AD4001 ${line}: group 99 is not there`,
    ]);
    expect(changed('{ id: 4, iommu: dmar1', '{ id: 4, iommu: dmar9')).toContain(
      `AD4001 ${lineOf('{ id: 4')}: IOMMU dmar9 is not there`,
    );
    expect(withStatus(context([container({ attached: [{ ...A, to: 9 }] })]))[0]).toMatch(
      /AD4001 .*HWPT 9/,
    );
    expect(withStatus(context([], [{ pci: '0000:99:00.0', devId: 1 }]))[0]).toMatch(
      /AD4001 .*0000:99:00.0/,
    );
  });

  it('names what is listed twice', () => {
    expect(changed('"0000:01:00.1", group: 2', '"0000:01:00.0", group: 2')[0]).toMatch(
      /AD4002 \d+: device 0000:01:00.0/,
    );
    expect(changed('{ id: 2, iommu', '{ id: 1, iommu')[0]).toMatch(/AD4002 \d+: group 1/);
    expect(changed('cdev: vfio1', 'cdev: vfio0')[0]).toMatch(/AD4002 \d+: device file vfio0/);
    expect(withStatus(context([container({ attached: [{ ...A, devId: 3 }] })]))[0]).toMatch(
      /AD4002 .*id 3 in context x/,
    );
  });

  it('names a state that no kernel could be in', () => {
    const twoTables = container({
      hwpts: [
        { id: 3, dirtyTracking: 'none' },
        { id: 4, dirtyTracking: 'none' },
      ],
      attached: [
        { pci: '0000:05:01.0', devId: 5, to: 3 },
        { pci: '0000:05:02.0', devId: 6, to: 4 },
      ],
    });
    expect(withStatus(context([twoTables]))[0]).toMatch(
      /AD4003 .*group 5 of 0000:05:02.0 is on HWPT 3/,
    );
    const tracks = container({
      hwpts: [{ id: 3, dirtyTracking: 'active' }],
      attached: [{ ...A, pci: '0000:03:00.0' }],
    });
    expect(withStatus(context([tracks]))[0]).toMatch(/AD4003 .*cannot/);
    const native = container({ attached: [{ ...A, pci: '0000:06:00.0' }] });
    expect(withStatus(context([native]))[0]).toMatch(/AD4003 .*no device file/);
    const mdev = container({
      attached: [{ mdev: '83b8f4f2-509f-382f-3c1e-e6bfe0fa1001', devId: 2, to: 3 }],
    });
    expect(withStatus(context([mdev]))[0]).toMatch(/AD4003 .*attaches to the IOAS/);
    const twice = {
      contexts: [
        { name: 'x', bound: [{ pci: '0000:05:01.0', devId: 1 }] },
        { name: 'y', bound: [{ pci: '0000:05:02.0', devId: 1 }] },
      ],
    };
    expect(withStatus(twice)[0]).toMatch(/AD4003 .*group 5 of 0000:05:02.0 is bound in context x/);
  });

  it('points into JSON as well', () => {
    const { host } = readHost({ path: 'h', bytes: new TextEncoder().encode(GOOD) });
    const bad = structuredClone(host) as HostDocument;
    const text = JSON.stringify(bad, null, 2).replace('"group": 1,', '"group": 99,');
    const line = text.split('\n').findIndex((each) => each.includes('"group": 99')) + 1;
    expect(issuesOf(text)).toEqual([`AD4001 ${line}: group 99 is not there`]);
  });

  it('is not a config, nor several documents, nor nothing', () => {
    expect(issuesOf('')[0]).toMatch(/AD2001/);
    expect(issuesOf(`${GOOD}---\n${GOOD}`)[0]).toMatch(/AD2001/);
    expect(issuesOf('kind: Container\n')[0]).toMatch(/AD2001/);
    expect(issuesOf('{"a": 1')[0]).toMatch(/AD1006/);
  });
});
