/** The verbs that ask a daemon: product.md's table of situations, the documents, and the texts. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Io } from '../../src/cli/io.ts';
import { documentCheck } from '../support/schemas.ts';
import { type Served, type ServedOptions, serve } from '../support/socket.ts';
import { type Ran, run } from './run.ts';

const A = { pci: '0000:01:00.0' };
const B = { pci: '0000:01:00.1' };
const CONFIG = 'test/cases/from-nothing/config.yaml';
const HOST = 'test/cases/host.yaml';

let served: Served | null = null;
let work = '';

beforeEach(() => {
  work = mkdtempSync(join(tmpdir(), 'autodomain-verbs-'));
});

afterEach(async () => {
  await served?.close();
  served = null;
  rmSync(work, { recursive: true, force: true });
});

async function start(options: ServedOptions = {}): Promise<Served> {
  served = await serve(options);
  await served.daemon.turn();
  return served;
}

/** A command line beside the daemon that was started. */
function there(line: string, more: Partial<Io> = {}): Promise<Ran> {
  return run(line.split(' '), { env: { AUTODOMAIN_SOCKET: served?.path }, ...more });
}

const yes = { ask: async () => 'y', isTerminal: { stdin: true, stdout: false } };

describe('status', () => {
  it('says that all is well, and what there is', async () => {
    await start();
    const { code, stdout } = await there('status');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^node-7: ready, 1 of 1 containers ready\n/);
    expect(stdout).toMatch(
      /blue {2}ready\n {2}0000:01:00\.0 +attached to HWPT \d+\n {2}HWPT \d+ +no dirty/,
    );
    expect(stdout).toMatch(/last attempts\n {2}\d+ s ago +applied {2}1 container: 1 ready/);
  });

  it('says what is wrong, and since when', async () => {
    await start({ spec: { devices: [{ pci: '0000:99:00.0' }] } });
    const { stdout } = await there('status');
    expect(stdout).toMatch(/^node-7: not ready \(Blocked\), 0 of 1 containers ready\n/);
    expect(stdout).toMatch(/! Stalled \(Blocked\): .*0000:99:00\.0.* for \d+ s/);
    await there('suspend');
    expect((await there('status')).stdout).toMatch(/! Suspended \(Asked\): by uid \d+, pid \d+/);
  });

  it('is one document of its schema with -o json', async () => {
    await start();
    const { stdout } = await there('status -o json');
    expect(documentCheck('status.v1', JSON.parse(stdout))).toBe(null);
    const history = await there('history -o json');
    expect(documentCheck('history.v1', JSON.parse(history.stdout))).toBe(null);
  });

  it('waits: 0 ready, 6 stalled at once, 8 when the time is over, 130 when interrupted', async () => {
    const daemon = await start();
    expect((await there('status --wait Ready')).code).toBe(0);
    daemon.write('blue', { devices: [{ pci: '0000:99:00.0' }] });
    await daemon.daemon.turn();
    const stalled = await there('status --wait Ready --timeout 1h');
    expect(stalled.code).toBe(6);
    expect(stalled.stderr).toContain('not ready (Blocked) and stalled');
    const late = await there('status --wait Suspended --timeout 100ms');
    expect(late.code).toBe(6);
    daemon.write('blue', { devices: [A] });
    await daemon.daemon.turn();
    const over = await there('status --wait Suspended --timeout 100ms');
    expect(over.code).toBe(8);
    const stop = new AbortController();
    setTimeout(() => stop.abort('SIGINT'), 50);
    const ended = await there('status --wait Suspended', { signal: stop.signal });
    expect(ended.code).toBe(130);
  });

  it('is not fooled by a daemon that was ready for the config before', async () => {
    const daemon = await start();
    const real = daemon.daemon.status.bind(daemon.daemon);
    daemon.daemon.status = () => {
      const now = real();
      const attempted = { digest: `sha256:${'1'.repeat(64)}`, revision: null };
      return { ...now, source: { ...now.source, attempted } };
    };
    expect((await there('status --wait Ready --timeout 100ms')).code).toBe(8);
  });

  it('waits for a daemon that is restarted', async () => {
    const at = join(work, 'run', 'control.sock');
    served = await serve({ at });
    const waiting = there('status --wait Ready --timeout 10s');
    await new Promise((resolve) => setTimeout(resolve, 200));
    await served.close();
    await new Promise((resolve) => setTimeout(resolve, 700));
    await start({ at });
    expect((await waiting).code).toBe(0);
  });
});

describe('reconcile', () => {
  it('gives an id, or waits and says what happens meanwhile', async () => {
    const daemon = await start();
    expect((await there('reconcile')).stdout).toBe('r-1\n');
    daemon.write('blue', { devices: [A, B] });
    const { code, stderr } = await there('reconcile --wait --timeout 10s');
    expect(code).toBe(0);
    expect(stderr).toContain('  attempt r-2 was asked for\n');
    expect(stderr).toMatch(/node-7: ready, 1 of 1 containers ready\n$/);
    daemon.write('blue', { devices: [{ pci: '0000:99:00.0' }] });
    expect((await there('reconcile --wait')).code).toBe(6);
  });

  it('ends with 8 when the time is over, and 6 while suspended', async () => {
    const daemon = await start();
    daemon.daemon.outcomeOf = () => 'pending';
    expect((await there('reconcile --wait --timeout 50ms')).code).toBe(8);
    await there('suspend');
    const { code, stderr } = await there('reconcile');
    expect(code).toBe(6);
    expect(stderr).toContain('the daemon is suspended; `autodomain resume` first');
    expect((await there('resume')).code).toBe(0);
    expect((await there('reconcile')).code).toBe(0);
  });
});

describe('confirm', () => {
  it('confirms what is held back, once, and only what there is', async () => {
    const daemon = await start({ spec: { devices: [A], deletion: 'confirm' } });
    daemon.write('blue', { state: 'absent', deletion: 'confirm' });
    expect((await there('reconcile --wait')).code).toBe(6);
    expect((await there('confirm')).code).toBe(64);
    expect((await there('confirm red')).stderr).toContain(
      "there is no container 'red'; there are blue",
    );
    expect((await there(`confirm blue --digest sha256:${'1'.repeat(64)}`)).code).toBe(7);
    const { code, stderr } = await there('confirm blue');
    expect(code).toBe(0);
    expect(stderr).toMatch(/^node-7: confirmed blue for sha256:[0-9a-f]{12}, once\n$/);
    expect((await there('reconcile --wait')).code).toBe(0);
    expect(daemon.daemon.graph()?.contexts.size).toBe(0);
  });
});

describe('graph', () => {
  it("is the daemon's, in both forms", async () => {
    await start();
    const text = await there('graph');
    expect(text.stdout).toMatch(/context blue\n {2}container blue\n {4}IOAS \d+/);
    const json = await there('graph -o json');
    expect(documentCheck('graph.v1', JSON.parse(json.stdout))).toBe(null);
  });
});

describe('plan beside a daemon', () => {
  it("is made of the daemon's graph, with its files or any others", async () => {
    await start();
    const own = await there('plan --detailed-exitcode');
    expect(own.stdout).toContain('Nothing to do; 1 container untouched');
    expect(own.stdout).toMatch(/^Host node-7, as its daemon \(pid \d+\) knows it\n/);
    expect(own.code).toBe(0);
    writeFileSync(
      join(work, 'c.yaml'),
      blue({ devices: [A], dirtyTracking: { mode: 'required' } }),
    );
    const other = await there(`plan ${work} --detailed-exitcode`);
    expect(other.code).toBe(2);
    expect(other.stdout).toMatch(/~ move 0000:01:00\.0/);
    expect(other.stdout).not.toContain('open device');
  });

  it('gives the plan that the machine itself gives', async () => {
    const daemon = await start({
      spec: { devices: [A], iova: { allow: [{ start: '0x1000000', last: '0x7fffffff' }] } },
    });
    const config = 'test/cases/preferred-splits/config.yaml';
    const { stdout } = await there(`plan ${config} -o json`);
    const { configIn } = await import('../support/world.ts');
    const here = daemon.daemon.world.plan(configIn(config)).plan;
    const plan = JSON.parse(stdout) as { steps: readonly { id: string; kind: string }[] };
    expect(plan.steps.map(({ id, kind }) => [id, kind])).toEqual(
      here.steps.map(({ id, kind }) => [id, kind]),
    );
    expect(documentCheck('plan.v1', plan)).toBe(null);
  });
});

describe('apply beside a daemon', () => {
  it('shows its plan, asks, and has exactly that config applied', async () => {
    const daemon = await start();
    await there('suspend');
    daemon.write('blue', { devices: [A, B] });
    await daemon.daemon.turn();
    const no = await there('apply', { ...yes, ask: async () => 'n' });
    expect(no.stderr).toContain('+ attach 0000:01:00.1');
    expect(no.code).toBe(6);
    const suspended = await there('apply', yes);
    expect(suspended.code).toBe(6);
    expect(suspended.stderr).toContain('the daemon is suspended');
    expect(attached(daemon)).toBe(1);
    const ask = async (): Promise<string> => {
      daemon.daemon.resume();
      return 'y';
    };
    const { code, stderr } = await there('apply', { ...yes, ask });
    expect(code).toBe(0);
    expect(attached(daemon)).toBe(2);
    expect(stderr).toMatch(/node-7: ready, 1 of 1 containers ready\n$/);
  });

  it('takes its own files as a PATH, and has nothing to ask where nothing is to be done', async () => {
    const daemon = await start();
    const { code, stderr } = await there(`apply ${daemon.config}`, {
      ...yes,
      ask: async () => 'n',
    });
    expect(stderr).toContain('Nothing to do');
    expect(code).toBe(0);
  });

  it('ends with 7 where the config changed after it was shown', async () => {
    const daemon = await start();
    await there('suspend');
    daemon.write('blue', { devices: [A, B] });
    await daemon.daemon.turn();
    const ask = async (): Promise<string> => {
      daemon.write('blue', { devices: [B] });
      daemon.daemon.resume();
      await daemon.daemon.turn();
      return 'y';
    };
    const { code, stderr } = await there('apply', { ...yes, ask });
    expect(code).toBe(7);
    expect(stderr).toContain('the config has changed: it is sha256:');
  });

  it('ends with 7 where it changed before the daemon came to it', async () => {
    const daemon = await start();
    const reconcile = daemon.daemon.reconcile.bind(daemon.daemon);
    daemon.daemon.reconcile = () => {
      daemon.write('blue', { devices: [A, B] });
      return reconcile();
    };
    const { code, stderr } = await there('apply --yes');
    expect(code).toBe(7);
    expect(stderr).toContain('the config changed meanwhile');
  });

  it('lifts a guard for that config alone', async () => {
    const daemon = await start({ spec: { devices: [A], deletion: 'confirm' } });
    daemon.write('blue', { state: 'absent', deletion: 'confirm' });
    await daemon.daemon.turn();
    expect((await there('apply --yes')).code).toBe(6);
    const { code, stderr } = await there('apply --yes --confirm blue');
    expect(stderr).toContain('- detach 0000:01:00.0');
    expect(code).toBe(0);
    expect(daemon.daemon.graph()?.contexts.size).toBe(0);
  });

  it('is for its files alone, and for whoever can be asked', async () => {
    const daemon = await start();
    const other = await there(`apply ${CONFIG} --yes`);
    expect(other.code).toBe(6);
    expect(other.stderr).toContain(`follows ${daemon.config}, not ${CONFIG}`);
    expect((await there('apply')).code).toBe(64);
    const held = await there(`apply ${daemon.config} --hold --yes`);
    expect(held.code).toBe(75);
    expect(held.stderr).toMatch(/the daemon \(pid \d+\) holds this host/);
  });

  it('of a saved plan does it, or is stale', async () => {
    const daemon = await start();
    const file = join(work, 'plan.json');
    await there(`plan --out ${file}`);
    expect((await there(`apply --yes --plan ${file}`)).code).toBe(0);
    daemon.write('blue', { devices: [B] });
    await there('reconcile --wait');
    expect((await there(`apply --yes --plan ${file}`)).code).toBe(7);
  });
});

describe('without an answer', () => {
  let silent: Server | null = null;

  afterEach(async () => {
    await new Promise((resolve) => (silent === null ? resolve(null) : silent.close(resolve)));
    silent = null;
  });

  const VERBS = [
    'status',
    'history',
    'suspend',
    'resume',
    'reconcile',
    'graph',
    `plan ${CONFIG}`,
    `apply ${CONFIG} --hold --yes`,
  ];

  it.each(VERBS)(
    '`%s` ends with 1 beside a socket that nobody serves, and touches no kernel',
    async (line) => {
      const path = join(work, 'control.sock');
      silent = createServer((socket) => socket.destroy());
      await new Promise<void>((resolve) => silent?.listen(path, resolve));
      const { code, stderr } = await run(line.split(' '), { env: { AUTODOMAIN_SOCKET: path } });
      expect(code).toBe(1);
      expect(stderr).toContain(`no daemon answers at ${path}`);
      expect(stderr).toContain('systemctl status autodomain');
    },
  );

  it('says that nobody runs where there is no socket', async () => {
    const env = { AUTODOMAIN_RUN_DIR: work };
    const { code, stderr } = await run(['status'], { env });
    expect(code).toBe(1);
    expect(stderr).toContain(`no daemon runs: there is no ${work}/control.sock`);
    // Named and not there: falling back to the kernel would be a silent choice.
    const named = await run(['plan', CONFIG, '--socket', join(work, 'x.sock')], { env });
    expect(named.code).toBe(1);
  });

  it('goes on without one only where nobody named one and none is there', async () => {
    const env = { AUTODOMAIN_RUN_DIR: work };
    const { code, stderr } = await run(['apply', CONFIG], { env });
    expect(code).toBe(64);
    expect(stderr).toContain('without --hold');
  });

  it('asks no socket with --host', async () => {
    const env = { AUTODOMAIN_SOCKET: join(work, 'no.sock') };
    expect((await run(['plan', CONFIG, '--host', HOST], { env })).code).toBe(0);
    expect((await run(['graph', '--host', HOST], { env })).code).toBe(0);
    expect((await run(['apply', CONFIG, '--host', HOST], { env })).code).toBe(0);
    expect(readdirSync(work)).toEqual([]);
  });

  it('ends with 77 where a change takes root', async () => {
    await start({ peer: { uid: 4000 } });
    expect((await there('status')).code).toBe(0);
    const { code, stderr } = await there('suspend');
    expect(code).toBe(77);
    expect(stderr).toContain('uid 4000 may look, but /v1/suspend takes root');
    expect((await there('history')).code).toBe(0);
  });

  it('names a document of another major version', async () => {
    const daemon = await start();
    daemon.daemon.status = () => ({ formatVersion: '2.0', kind: 'Status' }) as never;
    const { code, stderr } = await there('status');
    expect(code).toBe(1);
    expect(stderr).toContain('the daemon speaks format 2.0');
  });
});

function blue(spec: object): string {
  return JSON.stringify({
    apiVersion: 'autodomain.dev/v1alpha1',
    kind: 'Container',
    metadata: { name: 'blue' },
    spec,
  });
}

function attached({ daemon }: Served): number {
  return daemon.graph()?.contexts.get('blue')?.devices.size ?? 0;
}
