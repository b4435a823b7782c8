/** Real processes whose calls do not return: they say so, and they end. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hostIn } from '../support/world.ts';

const A = '0000:01:00.0';
const B = '0000:01:00.1';

let dir = '';
const children: ChildProcess[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'autodomain-stuck-'));
});

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(dir, { recursive: true, force: true });
});

function config(): string {
  const path = join(dir, 'config.yaml');
  const documents = [
    ['a', A],
    ['b', B],
  ].map(([name, pci]) => ({
    apiVersion: 'autodomain.dev/v1alpha1',
    kind: 'Container',
    metadata: { name },
    spec: { devices: [{ pci }] },
  }));
  writeFileSync(path, documents.map((each) => JSON.stringify(each)).join('\n---\n'));
  return path;
}

function host(faults: readonly object[]): string {
  const path = join(dir, 'host.json');
  const document = { ...hostIn('test/cases/host.yaml'), simulation: { faults } };
  writeFileSync(path, JSON.stringify(document));
  return path;
}

interface Running {
  readonly child: ChildProcess;
  text(): string;
  readonly ended: Promise<number | null>;
}

function start(...args: readonly string[]): Running {
  const child = spawn(process.execPath, ['--import', 'tsx', ...args], {
    env: { ...process.env, UV_THREADPOOL_SIZE: '4' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
  }
  const ended = new Promise<number | null>((resolve) => child.on('exit', resolve));
  return { child, text: () => text, ended };
}

async function says({ text }: Running, expected: string): Promise<void> {
  const until = Date.now() + 15_000;
  while (!text().includes(expected)) {
    if (Date.now() > until) throw new Error(`it never said '${expected}':\n${text()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** True where it ends within the time. */
async function endsWithin(running: Running, ms: number): Promise<boolean> {
  const late = new Promise<'late'>((resolve) => setTimeout(resolve, ms, 'late'));
  return (await Promise.race([running.ended, late])) !== 'late';
}

const CLI = 'src/cli/bin.ts';
const NEVER = { call: 'VFIO_DEVICE_BIND_IOMMUFD', pci: A, neverReturns: true };

describe('a process with a call that does not return', { timeout: 60_000 }, () => {
  it('apply: the other container is ready, the summary names the call, the exit code is 5', async () => {
    const running = start(CLI, 'apply', config(), '--host', host([NEVER]));
    expect(await running.ended).toBe(5);
    expect(running.text()).toContain(
      `2 containers: 1 ready, 1 stuck (a: open ${A} in context a: VFIO_DEVICE_BIND_IOMMUFD has not returned for 70 s)`,
    );
  });

  it('watch: it serves the other container, says what is stuck, and ends on SIGTERM', async () => {
    const running = start(CLI, 'watch', config(), '--host', host([NEVER]), '--settle', '10');
    await says(running, '1 stuck');
    await says(running, 'not returned');
    running.child.kill('SIGTERM');
    expect(await endsWithin(running, 10_000)).toBe(true);
    expect(running.text()).toContain('1 context left');
    expect(await running.ended).toBe(5);
  });

  it('watch: it goes on by itself when the call returns', async () => {
    const late = { call: 'VFIO_DEVICE_BIND_IOMMUFD', pci: A, returnsAfterMs: 400_000 };
    const running = start(CLI, 'watch', config(), '--host', host([late]), '--settle', '10');
    await says(running, 'VFIO_DEVICE_BIND_IOMMUFD has returned after 6 min: done');
    await says(running, 'Nothing to do; 2 containers untouched');
    running.child.kill('SIGTERM');
    expect(await running.ended).toBe(0);
  });

  it('watch: it ends also where letting go gets stuck', async () => {
    const close = { call: 'close', pci: B, neverReturns: true };
    const running = start(CLI, 'watch', config(), '--host', host([close]), '--settle', '10');
    await says(running, 'Nothing to do');
    running.child.kill('SIGTERM');
    expect(await endsWithin(running, 10_000)).toBe(true);
    expect(running.text()).toContain('close has not returned for 70 s');
    expect(await running.ended).toBe(5);
  });
});

describe('a process with a call in the kernel', { timeout: 60_000 }, () => {
  /** A write that nobody reads, on the pool: what a call on a device that hangs is to the process. */
  const script = (exit: string): string => `
    import { leave, setExit } from '${process.cwd()}/src/cli/leave.ts';
    import { nativeSyscalls } from '${process.cwd()}/src/kernel/native/syscalls.ts';
    import { exitNow } from '${process.cwd()}/src/kernel/native/libc.ts';
    setExit(exitNow);
    void nativeSyscalls().slow.writeText(process.argv[2], 'x');
    console.log('in the kernel');
    setTimeout(() => ${exit}, 100);
  `;

  function startIn(exit: string): Running {
    const fifo = join(dir, 'fifo');
    execFileSync('mkfifo', [fifo]);
    const path = join(dir, 'script.mts');
    writeFileSync(path, script(exit));
    return start(path, fifo);
  }

  it('ends by the way out, with its exit code', async () => {
    const running = startIn('leave(5)');
    await says(running, 'in the kernel');
    expect(await endsWithin(running, 5000)).toBe(true);
    expect(await running.ended).toBe(5);
  });

  it('would not end by process.exit: the pool is waited for', async () => {
    const running = startIn('process.exit(5)');
    await says(running, 'in the kernel');
    expect(await endsWithin(running, 1500)).toBe(false);
  });
});
