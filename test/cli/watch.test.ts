/** The watcher in a model of a host: converge, follow edits, keep the last good config, remove slowly, stop cleanly. */
import { mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Ran, run } from './run.ts';

let dir = '';
let stop = new AbortController();
let text = '';
let ended: Promise<Ran> | null = null;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'autodomain-watch-'));
  stop = new AbortController();
  text = '';
});

afterEach(async () => {
  stop.abort('SIGTERM');
  await ended;
  rmSync(dir, { recursive: true, force: true });
});

function write(name: string, spec: object): void {
  const document = {
    apiVersion: 'autodomain.dev/v1alpha1',
    kind: 'Container',
    metadata: { name },
    spec,
  };
  writeFileSync(join(dir, `${name}.yaml`), JSON.stringify(document));
}

function start(...more: readonly string[]): void {
  const args = [
    'watch',
    dir,
    '--host',
    'test/cases/host.yaml',
    '--settle',
    '20',
    '--resync',
    '100',
    ...more,
  ];
  ended = run(args, {
    signal: stop.signal,
    stderr: (more_) => {
      text += more_;
    },
  });
}

async function says(expected: string): Promise<void> {
  for (let tries = 0; tries < 500; tries += 1) {
    if (text.includes(expected)) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`it never said '${expected}':\n${text}`);
}

const A = { pci: '0000:01:00.0' };
const B = { pci: '0000:01:00.1' };

describe('watch', () => {
  it('converges, follows an edit with the fewest steps, and lets go at the end', async () => {
    write('blue', { devices: [A] });
    start();
    await says('Nothing to do; 1 container untouched');
    text = '';
    write('blue', { devices: [A], dirtyTracking: { mode: 'required' } });
    await says('Nothing to do; 1 container untouched');
    expect(text).toMatch(/allocate HWPT \(dirty tracking\).*move 0000:01:00.0.*destroy HWPT/s);
    expect(text).not.toContain('detach');
    text = '';
    stop.abort('SIGTERM');
    const { code } = await (ended as Promise<Ran>);
    expect(code).toBe(0);
    expect(text).toContain('let go: nothing is left');
  });

  it('keeps the last good config over a bad edit', async () => {
    write('blue', { devices: [A] });
    start();
    await says('Nothing to do');
    text = '';
    writeFileSync(join(dir, 'blue.yaml'), 'apiVersion: autodomain.dev/v1alpha1\nkind: Containr\n');
    await says('stays in force');
    expect(text).toContain('blue.yaml:2:7: error AD2001');
    expect(text).not.toContain('detach');
    write('blue', { devices: [A, B] });
    await says('attach 0000:01:00.1');
  });

  it('removes what is gone only after its grace, and a file that comes back not at all', async () => {
    write('blue', { devices: [A] });
    write('red', { devices: [B] });
    start('--removal-grace', '600');
    await says('Nothing to do; 2 containers untouched');
    text = '';
    unlinkSync(join(dir, 'red.yaml'));
    await says('config sha256');
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(text).not.toContain('detach');
    write('red', { devices: [B] });
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(text).not.toContain('detach');
    unlinkSync(join(dir, 'red.yaml'));
    await says('detach 0000:01:00.1');
  });

  it('applies an absent state at once', async () => {
    write('blue', { devices: [A] });
    start();
    await says('Nothing to do');
    write('blue', { state: 'absent' });
    await says('close iommufd context blue');
  });

  it('says once what is in the way, and goes on when it is gone', async () => {
    write('blue', { devices: [{ pci: '0000:99:00.0' }] });
    start();
    await says('device-missing');
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(text.split('device-missing')).toHaveLength(2);
    write('blue', { devices: [A] });
    await says('Nothing to do; 1 container untouched');
  });
});
