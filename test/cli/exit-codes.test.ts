/** Each exit code, by what causes it. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, describe, expect, it } from 'vitest';
import { hostIn } from '../support/world.ts';
import { run } from './run.ts';

const work = mkdtempSync(join(tmpdir(), 'autodomain-exit-'));
const CONFIG = 'test/cases/from-nothing/config.yaml';
const HOST = 'test/cases/host.yaml';

afterAll(() => {
  rmSync(work, { recursive: true, force: true });
});

/** The host of the cases with something else in it. */
function hostWith(change: object): string {
  const path = join(work, 'host.json');
  writeFileSync(path, JSON.stringify({ ...hostIn(HOST), ...change }));
  return path;
}

function faulty(...faults: readonly object[]): string {
  return hostWith({ simulation: { faults } });
}

function validatorOf(name: string): (value: unknown) => boolean {
  const schema = JSON.parse(readFileSync(`schema/${name}.json`, 'utf8')) as object;
  return new Ajv2020({ allowUnionTypes: true, strict: true, strictRequired: false }).compile(
    schema,
  );
}

describe('exit codes', () => {
  it('0 where all is done, 2 for changes only where they were asked for', async () => {
    expect((await run(['plan', CONFIG, '--host', HOST])).code).toBe(0);
    expect((await run(['plan', CONFIG, '--host', HOST, '--detailed-exitcode'])).code).toBe(2);
    expect((await run(['apply', CONFIG, '--host', HOST])).code).toBe(0);
  });

  it('4 where a failed cell was rolled back, and its HWPT is gone', async () => {
    const out = join(work, 'after.yaml');
    const before = join(work, 'before.yaml');
    const required = 'test/cases/edit-none-to-required';
    await run(['apply', `${required}/before.yaml`, '--host', HOST, '--host-out', before]);
    const document = readFileSync(before, 'utf8');
    const fault = { call: 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', pci: '0000:01:00.1', errno: 'ENOSPC' };
    writeFileSync(before, `${document}simulation: ${JSON.stringify({ faults: [fault] })}\n`);
    const args = ['apply', `${required}/config.yaml`, '--host', before, '--host-out', out];
    const { code, stderr } = await run(args);
    expect(stderr).toContain('1 rolled back (blue: move 0000:01:00.1');
    expect(stderr).toContain('ENOSPC: the IOMMU has no free domain id; use fewer HWPTs');
    expect(code).toBe(4);
    expect(hostIn(out).status?.contexts).toEqual(hostIn(before).status?.contexts);
  });

  it('5 where undoing would reset a device again, and it says what stays', async () => {
    const host = faulty({ call: 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', errno: 'ENOSPC', times: 9 });
    const { code, stderr } = await run(['apply', CONFIG, '--host', host]);
    expect(code).toBe(5);
    expect(stderr).toContain('left as it is, because undoing would reset a device again: open');
  });

  it('6 where something is blocked, which wins over 2; the other cells are applied', async () => {
    const config = 'test/cases/missing-device/config.yaml';
    expect((await run(['plan', config, '--host', HOST, '--detailed-exitcode'])).code).toBe(6);
    const { code, stderr } = await run(['apply', config, '--host', HOST]);
    expect(code).toBe(6);
    expect(stderr).toContain('2 containers: 1 ready, 1 blocked (blue)');
  });

  it('7 for a saved plan that is stale, and 0 for one that is not', async () => {
    const plan = join(work, 'plan.json');
    await run(['plan', CONFIG, '--host', HOST, '--out', plan]);
    expect(statSync(plan).mode & 0o777).toBe(0o600);
    expect((await run(['apply', CONFIG, '--host', HOST, '--plan', plan])).code).toBe(0);
    const other = 'test/cases/add-device/config.yaml';
    const stale = await run(['apply', other, '--host', HOST, '--plan', plan]);
    expect(stale.code).toBe(7);
    expect(stale.stderr).toContain('stale');
    writeFileSync(plan, '{}');
    expect((await run(['apply', CONFIG, '--host', HOST, '--plan', plan])).code).toBe(3);
  });

  it('64 before any kernel call where --hold is missing or nobody can be asked', async () => {
    expect((await run(['apply', CONFIG])).code).toBe(64);
    expect((await run(['apply', CONFIG, '--hold'])).code).toBe(64);
  });

  it('asks nobody and touches nothing but the model with --host', async () => {
    let asked = 0;
    const ask = async (): Promise<null> => {
      asked += 1;
      return null;
    };
    expect((await run(['apply', CONFIG, '--host', HOST], { ask })).code).toBe(0);
    expect(asked).toBe(0);
  });
});

describe('documents', () => {
  it('have the shape that their schema says', async () => {
    const plan = validatorOf('plan.v1');
    const graph = validatorOf('graph.v1');
    for (const name of [
      'from-nothing',
      'required-unsupported',
      'mdev',
      'group',
      'preferred-splits',
    ]) {
      const config = `test/cases/${name}/config.yaml`;
      const { stdout } = await run(['plan', config, '--host', HOST, '-o', 'json']);
      expect(plan(JSON.parse(stdout)), name).toBe(true);
      const out = join(work, 'graph.json');
      await run(['apply', config, '--host', HOST, '--host-out', out]);
      const shown = await run(['graph', '--host', out, '-o', 'json']);
      expect(graph(JSON.parse(shown.stdout)), name).toBe(true);
    }
  });
});
