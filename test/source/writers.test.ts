/** Writers of many files at once, as they really are: a set that is half written never comes into force where it can be told. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { takeSnapshot } from '../../src/source/files.ts';
import { container, type Followed, Place, pause } from './followed.ts';

/** Runs a command beside us. */
function run(command: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (text) => {
      said += String(text);
    });
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0 ? resolve() : reject(new Error(`${command}: ${code}: ${said}`)),
    );
  });
}

function git(dir: string, ...args: readonly string[]): string {
  const who = ['-c', 'user.name=a', '-c', 'user.email=a@example.org', '-c', 'core.fsync=none'];
  return execFileSync('git', ['-C', dir, ...who, ...args], { encoding: 'utf8' });
}

const COUNT = 200;
const NAMES = Array.from({ length: COUNT }, (_, n) => `f${String(n * 10).padStart(4, '0')}`);

/** Revisions are told apart by their length too: rsync takes files of the same size and second for the same. */
function writeSet(place: Place, dir: string, rev: string): void {
  mkdirSync(place.path(dir));
  for (const name of NAMES) writeFileSync(place.path(dir, `${name}.yaml`), container(name, rev));
}

/** 2,000 files that all differ from those of another revision; every tenth is a config. */
function commitOf(rev: string): string {
  const files = Array.from({ length: COUNT * 10 }, (_, n) => {
    const name = `f${String(n).padStart(4, '0')}`;
    const isConfig = n % 10 === 0;
    const text = isConfig ? container(name, rev) : rev;
    return `M 100644 inline ${name}.${isConfig ? 'yaml' : 'txt'}\ndata ${text.length}\n${text}\n`;
  });
  const who = 'committer a <a@example.org> 0 +0000';
  return `commit refs/heads/${rev}\n${who}\ndata 0\ndeleteall\n${files.join('')}\n`;
}

/** The revisions that a config in force has files of. */
function revisionsIn(text: string): readonly string[] {
  return [...new Set(text.split(' ').map((each) => each.split('=')[1] ?? ''))];
}

function isAll(followed: Followed, rev: string): boolean {
  const text = followed.inForce ?? '';
  return text.split(' ').length === COUNT && revisionsIn(text).join() === rev;
}

/** Not only when an event says so. Other things than timers get their turn between two looks. */
async function lookAllTheTime({ source }: Followed, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    source.wake();
    await pause(5);
    await new Promise(setImmediate);
  }
}

describe('git checkout of 2,000 files', () => {
  it('comes into force as a whole, every time, and removals need no grace', async () => {
    await using place = new Place();
    const tree = place.path('w');
    mkdirSync(tree);
    git(tree, 'init', '-q');
    const input = commitOf('r0') + commitOf('r1');
    execFileSync('git', ['-C', tree, 'fast-import', '--quiet'], { input });
    git(tree, 'checkout', '-q', 'r1');
    // No quiet time at all: what keeps half a checkout out is git's own lock and the double reading.
    const followed = place.follow('w', { settleMs: 0, graceMs: 600_000 });
    await followed.until(() => isAll(followed, 'r1'));
    for (const rev of ['r0', 'r1']) {
      const checkout = run('git', ['-C', tree, 'checkout', '-q', rev]);
      const done = new AbortController();
      const looking = lookAllTheTime(followed, done.signal);
      await checkout;
      done.abort();
      await looking;
      await followed.until(() => isAll(followed, rev));
      expect(followed.intake.good?.revision).toBe(git(tree, 'rev-parse', 'HEAD').trim());
    }
    expect(followed.loaded.map((text) => revisionsIn(text).length)).toEqual(
      followed.loaded.map(() => 1),
    );
    expect(followed.intake.good?.isAtomic).toBe(true);
    expect(followed.intake.removalsSettled(followed.now)).toBe(true);
  }, 60_000);

  it('in a linked work tree holds back while its own lock exists', async () => {
    await using place = new Place();
    place.write('main/c/a.yaml', container('a', 'r0'));
    git(place.path('main'), 'init', '-q');
    git(place.path('main'), 'add', '.');
    git(place.path('main'), 'commit', '-qm', 'x');
    git(place.path('main'), 'worktree', 'add', '-q', place.path('linked'));
    const lock = place.path('main/.git/worktrees/linked/index.lock');
    writeFileSync(lock, '');
    const followed = place.follow('linked/c');
    await followed.until(() => followed.last?.state === 'changing');
    expect(followed.last).toMatchObject({ who: `git is writing: ${lock} exists` });
    expect(followed.loaded).toEqual([]);
    unlinkSync(lock);
    await followed.untilInForce('a=r0');
    expect(followed.intake.good?.isAtomic).toBe(true);
  });
});

describe.concurrent('rsync', () => {
  it.each([['-a'], ['-a', '--inplace'], ['-a', '--delay-updates']])(
    '%s %s: ends in the new set, and nothing is removed on the way',
    async (...flags) => {
      await using place = new Place();
      writeSet(place, 'to', 'r0');
      writeSet(place, 'from', 'next');
      unlinkSync(place.path('from/f0000.yaml'));
      const followed = place.follow('to', { graceMs: 600_000 });
      await followed.until(() => isAll(followed, 'r0'));
      const from = `${place.path('from')}/`;
      await run('rsync', [...flags.filter(Boolean), '--delete-after', from, place.path('to')]);
      const count = COUNT - 1;
      await followed.until(() => {
        const text = followed.inForce ?? '';
        return text.split(' ').length === count && revisionsIn(text).join() === 'next';
      });
      for (const text of followed.loaded.slice(0, -1)) {
        expect(text.split(' ').length).toBeGreaterThanOrEqual(count);
      }
      expect(followed.removalsIn.size).toBe(0);
    },
  );

  it('says when it delivers at the end, and is waited for', async () => {
    await using place = new Place();
    place.write('to/sub/a.yaml', container('a', 'r0'));
    mkdirSync(place.path('to/sub/.~tmp~'));
    const followed = place.follow('to');
    await followed.until(() => followed.last?.state === 'changing');
    const who = `rsync is delivering: ${place.path('to/sub/.~tmp~')} exists`;
    expect(followed.last).toMatchObject({ who });
    rmSync(place.path('to/sub/.~tmp~'), { recursive: true });
    await followed.untilInForce('a=r0');
  });
});

describe.concurrent('a ready file', () => {
  it('holds everything back while it is missing, and makes a set whole', async () => {
    await using place = new Place();
    place.write('c/a.yaml', container('a', 'r0'));
    place.write('c/b.yaml', container('b', 'r0'));
    const followed = place.follow('c', { readyFile: '.complete', graceMs: 600_000 });
    await followed.until(() => followed.last?.state === 'changing');
    expect(followed.last).toMatchObject({
      who: `the writer is not ready: ${place.path('c/.complete')} is missing`,
    });
    place.write('c/.complete', '');
    await followed.untilInForce('a=r0 b=r0');
    unlinkSync(place.path('c/.complete'));
    unlinkSync(place.path('c/b.yaml'));
    place.write('c/a.yaml', container('a', 'half'));
    await followed.until(() => followed.last?.state === 'changing');
    place.write('c/a.yaml', container('a', 'r1'));
    place.write('c/.complete', '');
    await followed.untilInForce('a=r1');
    expect(followed.loaded).toEqual(['a=r0 b=r0', 'a=r1']);
    expect(followed.intake.removalsSettled(followed.now)).toBe(true);
  });
});

describe('a writer who never stops', () => {
  it('is noticed between two readings', async () => {
    await using place = new Place();
    place.write('c/a.yaml', container('a', 'r0'));
    const script = 'while :; do echo "# $((n += 1))" > "$0"; done';
    const writer = spawn('sh', ['-c', script, place.path('c/a.yaml')]);
    try {
      let unsettled: string | null = null;
      for (let tries = 0; unsettled === null && tries < 100_000; tries += 1) {
        unsettled = takeSnapshot([place.path('c')]).source.unsettled;
      }
      expect(unsettled).toBe('the files change while they are read');
    } finally {
      writer.kill();
    }
  });
});
