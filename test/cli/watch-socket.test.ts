/** A real daemon, loop and all, in a model of a host, asked over its socket by the verbs. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StatusDocument } from '../../src/daemon/control.ts';
import { documentCheck } from '../support/schemas.ts';
import { ask, raw, until } from '../support/socket.ts';
import { type Ran, run } from './run.ts';

let work = '';
let stop = new AbortController();
let text = '';
let ended: Promise<Ran> | null = null;

beforeEach(() => {
  work = mkdtempSync(join(tmpdir(), 'autodomain-served-'));
  stop = new AbortController();
  text = '';
});

afterEach(async () => {
  stop.abort('SIGTERM');
  await ended;
  rmSync(work, { recursive: true, force: true });
});

const A = { pci: '0000:01:00.0' };
const B = { pci: '0000:01:00.1' };

function write(spec: object): void {
  const document = {
    apiVersion: 'autodomain.dev/v1alpha1',
    kind: 'Container',
    metadata: { name: 'blue' },
    spec,
  };
  writeFileSync(join(work, 'blue.yaml'), JSON.stringify(document));
}

const path = (): string => join(work, 'run', 'control.sock');

/** Starts the daemon; its files are whatever is in the directory, and its socket is beside them. */
function start(...more: readonly string[]): void {
  const host = ['--host', 'test/cases/host.yaml'];
  const pace = ['--settle', '20', '--resync', '60000'];
  const args = ['watch', join(work, 'blue.yaml'), ...host, ...pace, '--socket', path(), ...more];
  ended = run(args, {
    signal: stop.signal,
    stderr: (line) => {
      text += line;
    },
  });
}

function there(line: string): Promise<Ran> {
  return run(line.split(' '), { env: { AUTODOMAIN_SOCKET: path() } });
}

/** The digest of the config that is applied. */
async function applied(): Promise<unknown> {
  const { stdout } = await there('status -o json');
  const status = JSON.parse(stdout) as StatusDocument;
  return status.source.applied?.digest;
}

async function isThere(): Promise<void> {
  for (let tries = 0; tries < 500; tries += 1) {
    if ((await there('status')).code === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`no daemon came: ${text}`);
}

describe('a daemon', () => {
  it('converges, follows an edit, and says so over its socket', async () => {
    write({ devices: [A] });
    start();
    await isThere();
    expect((await there('status --wait Ready --timeout 10s')).code).toBe(0);
    write({ devices: [A, B] });
    const asked = await there('reconcile --wait --timeout 10s');
    expect(asked.stderr).toMatch(/: ready, 1 of 1 containers ready\n$/);
    expect(asked.code).toBe(0);
    const status = await there('status -o json');
    expect(documentCheck('status.v1', JSON.parse(status.stdout))).toBe(null);
    expect(JSON.parse(status.stdout)).toMatchObject({
      containers: [{ name: 'blue', devices: [{ state: 'attached' }, { state: 'attached' }] }],
      history: [{ result: 'applied' }, { result: 'applied' }],
    });
    expect((await there('graph')).stdout).toContain('0000:01:00.1');
    const plan = await there('plan -o json --detailed-exitcode');
    expect(plan.code).toBe(0);
    expect(documentCheck('plan.v1', JSON.parse(plan.stdout))).toBe(null);
    const graph = await there('graph -o json');
    expect(documentCheck('graph.v1', JSON.parse(graph.stdout))).toBe(null);
  });

  it('stamps its log, tells its events, and counts its calls', async () => {
    write({ devices: [A] });
    start('--log-format', 'json');
    await isThere();
    const stream = await raw(path(), 'GET /v1/events HTTP/1.1\r\nHost: a\r\n\r\n');
    await until(() => stream.received().includes('200'), 'the stream');
    write({ devices: [A, B] });
    await there('reconcile --wait --timeout 10s');
    await until(() => stream.received().includes('"attempted"'), 'the event');
    for (const line of stream.received().split('\n')) {
      if (line.startsWith('{')) expect(documentCheck('event.v1', JSON.parse(line))).toBe(null);
    }
    const records = text
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as { event: string; attempt: string | null });
    const of = records.filter(({ event }) => event === 'attempted' || event === 'attempt-started');
    expect(of.length).toBeGreaterThanOrEqual(4);
    for (const { attempt } of of) expect(attempt).not.toBe(null);
    const { text: metrics } = await ask(path(), 'GET', '/metrics');
    expect(metrics).toContain('autodomain_devices{state="attached"} 2');
    expect(metrics).toMatch(
      /autodomain_kernel_calls_total\{call="VFIO_DEVICE_BIND_IOMMUFD",errno="0"\} 2/,
    );
    expect(metrics).toMatch(/autodomain_reconciles_total\{result="applied"\} 2/);
    expect((await ask(path(), 'GET', '/readyz')).status).toBe(200);
  });

  it('is suspended, resumed, and asked for a deletion', async () => {
    write({ devices: [A], deletion: 'confirm' });
    start();
    await isThere();
    await there('status --wait Ready --timeout 10s');
    expect((await there('suspend')).code).toBe(0);
    write({ state: 'absent', deletion: 'confirm' });
    const before = await applied();
    await until(() => (text.match(/config sha256/g) ?? []).length === 2, 'the edit is seen');
    expect((await there('status --wait Suspended --timeout 10s')).code).toBe(0);
    // What was only looked at is not applied.
    expect(await applied()).toBe(before);
    expect((await there('resume')).code).toBe(0);
    expect((await there('reconcile --wait --timeout 10s')).code).toBe(6);
    const { stdout } = await there('status');
    expect(stdout).toContain('blue');
    expect((await there('confirm blue')).code).toBe(0);
    expect((await there('reconcile --wait --timeout 10s')).code).toBe(0);
    expect((await there('graph')).stdout).toContain('nothing is held');
  });

  it('leaves no socket behind', async () => {
    write({ devices: [A] });
    start();
    await isThere();
    stop.abort('SIGTERM');
    expect((await ended)?.code).toBe(0);
    const { stderr } = await there('status');
    expect(stderr).toContain('no daemon runs');
  });

  it('does not start where others can write to the directory of its socket', async () => {
    write({ devices: [A] });
    const { code, stderr } = await run([
      'watch',
      join(work, 'blue.yaml'),
      ...['--host', 'test/cases/host.yaml', '--socket', '/tmp/autodomain-never.sock'],
    ]);
    expect(code).toBe(78);
    expect(stderr).toContain('no control socket at /tmp: others can write to it');
  });
});
