/** Containers in the hands of consumers without any right: DMA by a C and a Node program, and what comes back. */
import { spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Bdf } from '../../../src/base/ids.ts';
import type { StatusDocument } from '../../../src/daemon/control.ts';
import {
  Cli,
  container,
  pageTableRoots,
  RUN_DIR,
  rootEdus,
  unbind,
  writeConfig,
} from '../guest.ts';

const NOBODY = 65534;
const DESK = `${RUN_DIR}-hand-over/socket`;
const CONSUMER = [
  'exec',
  'blue',
  '--',
  process.execPath,
  '--import',
  'tsx',
  'test/lab/consumer.ts',
];

let edu: Bdf;
let watch: Cli;

beforeAll(async () => {
  [edu] = rootEdus() as [Bdf];
  unbind(edu);
  const spec = { devices: [{ pci: edu }], access: { users: [String(NOBODY)] } };
  watch = new Cli([
    'watch',
    writeConfig({ 'blue.yaml': container('blue', spec) }),
    '--settle',
    '50',
  ]);
  await watch.says('Nothing to do');
});

afterAll(async () => {
  await watch.stop();
});

async function status(): Promise<StatusDocument> {
  const cli = new Cli(['status', '-o', 'json']);
  await cli.exited;
  return JSON.parse(cli.stdout) as StatusDocument;
}

async function readyReason(): Promise<string | undefined> {
  const { containers } = await status();
  return containers[0]?.conditions.find(({ type }) => type === 'Ready')?.reason;
}

/** `edu` has no reset that works, so somebody has to answer for it after each consumer. */
async function confirmed(): Promise<void> {
  for (let tries = 0; (await readyReason()) !== 'Tainted'; tries += 1) {
    if (tries === 50) throw new Error(`it is not tainted:\n${watch.stderr}`);
  }
  const confirm = new Cli(['confirm', 'blue']);
  expect(await confirm.exited, confirm.stderr).toBe(0);
  const waits = new Cli(['reconcile', '--wait', '--timeout', '20000']);
  expect(await waits.exited, `${waits.stderr}${watch.stderr}`).toBe(0);
}

async function outputOf(
  command: string,
  args: readonly string[],
): Promise<{ readonly code: number | null; readonly text: string }> {
  const child = spawn(command, args, { uid: NOBODY, gid: NOBODY });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      text += chunk;
    });
  }
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, text };
}

describe('a consumer without any right', () => {
  it('in C gets the files by the protocol and does DMA', async () => {
    const bin = `${process.env['LAB_OUT']}/c`;
    const args = [DESK, 'blue', `${bin}/edu`, '0x1000000', '3'];
    const { code, text } = await outputOf(`${bin}/consumer`, args);
    expect(text).toBe('edu: 3 rounds of 4095 bytes, 0 differ\n');
    expect(code).toBe(0);
    await confirmed();
  });

  it('in Node gets them by `autodomain exec` and does DMA', async () => {
    const cli = new Cli(CONSUMER, { uid: NOBODY });
    expect(await cli.exited, cli.stderr).toBe(0);
    expect(cli.stdout).toBe(`node: uid ${NOBODY}, 4000 bytes, 0 differ\n`);
    await confirmed();
  });

  it('is refused where the config does not name it', async () => {
    const cli = new Cli(['exec', 'blue', '--', 'true'], { uid: 1 });
    expect(await cli.exited).toBe(6);
    expect(cli.stderr).toMatch(/may not have a container 'blue'.*spec\.access/);
  });

  it('keeps what it has while it lives, and is let go of when it is killed', async () => {
    const before = pageTableRoots().get(edu);
    const cli = new Cli([...CONSUMER, 'wait'], { uid: NOBODY });
    await cli.prints('0 differ');
    const plan = new Cli(['plan', writeConfig({ 'none.yaml': container('red', { devices: [] }) })]);
    expect(await plan.exited).toBe(6);
    expect(plan.stdout).toMatch(/handed-out/);
    expect(pageTableRoots().get(edu)).toBe(before);
    watch.stderr = '';
    cli.process.kill('SIGKILL');
    await watch.says('taken back from');
    // Let go, it is in the kernel's own domain again.
    expect(pageTableRoots().get(edu)).not.toBe(before);
    await confirmed();
    expect(await readyReason()).toBe('Converged');
  });
});
