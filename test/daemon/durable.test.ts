/** What a daemon begins with: nothing, its own journal, one of an earlier boot, one that is damaged; with and without files that came back. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { exitCodeOf } from '../../src/base/errors.ts';
import { type DurableHost, openDurableHost } from '../../src/daemon/durable.ts';
import { applyAttempt, planAttempt } from '../../src/engine/attempt.ts';
import { unixCalls } from '../../src/kernel/native/unix.ts';
import { Machine } from '../../src/kernel/sim/machine.ts';
import { DEFAULT_OPTIONS } from '../../src/plan/planner-options.ts';
import { configIn, hostIn, testClock } from '../support/world.ts';

let runDir = '';
let machine: Machine;

beforeEach(() => {
  runDir = mkdtempSync(join(tmpdir(), 'autodomain-durable-'));
  machine = newMachine();
});

afterEach(() => rmSync(runDir, { recursive: true, force: true }));

function newMachine(): Machine {
  return new Machine(hostIn('test/cases/host.yaml'), { clock: testClock() });
}

/** Opens as the process `pid`; `env` as the service manager has set it. */
function open(env: Readonly<Record<string, string>> = {}, bootId = 'boot'): Promise<DurableHost> {
  const { syscalls, known } = machine;
  return openDurableHost({
    runDir,
    env,
    pid: 7,
    // No file of the model is a file of this process.
    calls: { ...unixCalls, setCloseOnExec: () => undefined },
    clock: testClock(),
    syscalls: {
      ...syscalls,
      readText: (path) => (path.endsWith('/boot_id') ? `${bootId}\n` : syscalls.readText(path)),
    },
    host: { known, hostName: 'node-7' },
  });
}

/** A daemon that held something and ended. */
async function anEarlierLife(): Promise<void> {
  const { host } = await open();
  const config = configIn('test/cases/from-nothing/config.yaml');
  await applyAttempt(host, planAttempt(host, config, DEFAULT_OPTIONS), config, { parallel: 4 });
  expect(host.journal.contexts()).not.toHaveLength(0);
}

const CAME_BACK = { LISTEN_PID: '7', LISTEN_FDS: '1', LISTEN_FDNAMES: 'f2' };

describe('openDurableHost', () => {
  it('says beforehand what is lost where nobody keeps the files', async () => {
    const { outlives, notes, host } = await open();
    expect(outlives).toBe(false);
    expect(host.journal.contexts()).toEqual([]);
    expect(notes.join('\n')).toContain('every device is detached and reset');
  });

  it('drops what ended with its process, and says so', async () => {
    await anEarlierLife();
    machine = newMachine();
    const { host, notes } = await open();
    expect(host.journal.contexts()).toEqual([]);
    expect(notes[0]).toMatch(/context.? of the process before ended with it/);
    expect(machine.writingCalls).toEqual([]);
  });

  it('begins anew after a reboot', async () => {
    await anEarlierLife();
    machine = newMachine();
    const { host, notes } = await open({}, 'another boot');
    expect(host.journal.contexts()).toEqual([]);
    expect(notes[0]).toContain('of an earlier boot');
  });

  it('puts a damaged journal aside where nothing is at stake', async () => {
    await anEarlierLife();
    const path = join(runDir, 'journal');
    writeFileSync(path, readFileSync(path).subarray(0, 100));
    const { host, notes } = await open();
    expect(host.journal.contexts()).toEqual([]);
    expect(notes[0]).toMatch(
      /cannot be used: 100 bytes of \d+ are left of it; it is now .*unusable/,
    );
    expect(existsSync(`${path}.unusable`)).toBe(true);
  });

  it.each([
    ['no journal', (path: string) => rmSync(path), 'there is no journal'],
    ['a damaged one', (path: string) => writeFileSync(path, 'x'), 'it is not a journal'],
    ['one of another major version', format2, 'its format is 2.0'],
    ['one that does not know them', () => undefined, 'file f99 came back'],
  ])('touches nothing where files came back to %s', async (_what, spoil, says) => {
    await anEarlierLife();
    const path = join(runDir, 'journal');
    spoil(path);
    const before = existsSync(path) ? readFileSync(path, 'utf8') : null;
    machine.calls.length = 0;
    const names = { ...CAME_BACK, LISTEN_FDNAMES: 'f99' };
    const error = await open(names).catch((thrown: unknown) => thrown);
    expect(exitCodeOf(error)).toBe(78);
    expect(String(error)).toContain(says);
    expect(machine.writingCalls).toEqual([]);
    if (says !== 'file f99 came back') {
      expect(existsSync(path) ? readFileSync(path, 'utf8') : null).toBe(before);
    }
  });

  it('touches nothing where a journal of an earlier boot meets files', async () => {
    await anEarlierLife();
    await expect(open(CAME_BACK, 'another boot')).rejects.toThrow('of an earlier boot');
  });
});

/** Rewrites the journal as a later major version would have it, checksums and length in order. */
function format2(path: string): void {
  const [first = ''] = readFileSync(path, 'utf8').split('\n').slice(1);
  const text = first.slice(9).replace('"formatVersion":"1.', '"formatVersion":"2.');
  const line = `${crc32(text).toString(16).padStart(8, '0')} ${text}\n`;
  const header = `autodomain-journal ${String(32 + Buffer.byteLength(line)).padStart(12, '0')}\n`;
  writeFileSync(path, header + line);
}
