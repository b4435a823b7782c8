/** What is not heard is found all the same: lost events, refused watches, file systems that do not tell; and nothing is left open. */
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { describe, expect, it } from 'vitest';
import { silentFilesystemOf } from '../../src/source/filesystem.ts';
import type { SourceEvent } from '../../src/source/follow.ts';
import { INOTIFY, type Watchers } from '../../src/source/watches.ts';
import { container, Place, pause } from './followed.ts';

/** Watches that never say anything, as after an overflow of inotify's queue. */
const SILENT: Watchers = {
  directory: () => ({ close: () => undefined }),
  tree: () => ({ close: () => Promise.resolve() }),
};

function refusal(code: string): Error {
  return Object.assign(new Error(code), { code });
}

describe.concurrent('events that are lost', () => {
  it('cost time only, and are counted', async () => {
    await using place = new Place();
    place.write('c/a.yaml', container('a', 'r0'));
    const events: SourceEvent[] = [];
    const followed = place.follow('c', {
      watchers: SILENT,
      resyncMs: 50,
      onEvent: (event) => events.push(event),
    });
    await followed.untilInForce('a=r0');
    expect(followed.source.health().foundByResync).toBe(0);
    place.write('c/a.yaml', container('a', 'r1'));
    await followed.untilInForce('a=r1');
    await followed.until(() => followed.source.health().foundByResync === 1);
    expect(events.map(({ kind }) => kind)).toEqual(['found-by-resync']);
  });

  it('are found when somebody asks, without waiting for the timer', async () => {
    await using place = new Place();
    place.write('c/a.yaml', container('a', 'r0'));
    const followed = place.follow('c', { watchers: SILENT });
    await followed.untilInForce('a=r0');
    place.write('c/a.yaml', container('a', 'r1'));
    await pause(100);
    expect(followed.inForce).toBe('a=r0');
    followed.source.wake();
    await followed.untilInForce('a=r1');
  });
});

describe('an overflow of the queue of inotify', () => {
  it('ends in the last state', async () => {
    await using place = new Place();
    place.write('c/a.yaml', container('a', 'r0'));
    const followed = place.follow('c', { resyncMs: 500 });
    await followed.untilInForce('a=r0');
    const events = Number(readFileSync('/proc/sys/fs/inotify/max_queued_events', 'utf8'));
    // Without a turn of the event loop nobody takes them off; equal ones in a row would be one.
    for (let n = 0; n < events; n += 1) {
      const name = place.path('c', `x${n % 2}`);
      if (n % 4 < 2) writeFileSync(name, '');
      else unlinkSync(name);
    }
    place.write('c/a.yaml', container('a', 'r1'));
    await followed.untilInForce('a=r1');
  });
});

describe.concurrent('watches that are refused', () => {
  it.each([
    ['ENOSPC', 'raise fs.inotify.max_user_watches'],
    ['EMFILE', 'raise fs.inotify.max_user_instances'],
  ])('with %s on the way to the files: said once, found by looking', async (code, remedy) => {
    await using place = new Place();
    place.write('c/a.yaml', container('a', 'r0'));
    const events: SourceEvent[] = [];
    const inotify: { isFull: boolean } = { isFull: true };
    const watchers: Watchers = {
      directory: (path, on) => {
        if (inotify.isFull) throw refusal(code);
        return INOTIFY.directory(path, on);
      },
      tree: SILENT.tree,
    };
    const onEvent = (event: SourceEvent): number => events.push(event);
    const followed = place.follow('c/a.yaml', { watchers, onEvent, resyncMs: 100 });
    await followed.untilInForce('a=r0');
    expect(followed.source.health().degraded).toContain(remedy);
    place.write('c/a.yaml', container('a', 'r1'));
    await followed.untilInForce('a=r1');
    inotify.isFull = false;
    await followed.until(() => followed.source.health().degraded === null);
    const said = events.map(({ kind }) => kind).filter((kind) => kind !== 'found-by-resync');
    expect(said).toEqual(['watch-degraded', 'watch-restored']);
  });

  it('in the tree, although the watcher says that it is ready', async () => {
    await using place = new Place();
    place.write('c/a.yaml', container('a', 'r0'));
    const watchers: Watchers = {
      directory: INOTIFY.directory,
      tree: (_paths, on) => {
        setImmediate(() => {
          on.failed(refusal('ENOSPC'));
          on.failed(refusal('ENOSPC'));
          on.armed();
        });
        return { close: () => Promise.resolve() };
      },
    };
    const followed = place.follow('c', { watchers, resyncMs: 100 });
    await followed.until(() => followed.source.health().degraded !== null);
    place.write('c/a.yaml', container('a', 'r1'));
    await followed.untilInForce('a=r1');
  });
});

describe.concurrent('polling', () => {
  it('opens no watch, and finds everything', async () => {
    await using place = new Place();
    const watchers: Watchers = {
      directory: () => {
        throw new Error('a watch was opened');
      },
      tree: () => {
        throw new Error('a watch was opened');
      },
    };
    place.write('c/a.yaml', container('a', 'r0'));
    const followed = place.follow('c', { watch: 'poll', watchers, resyncMs: 100 });
    await followed.untilInForce('a=r0');
    renameSync(place.path('c'), place.path('old'));
    place.write('c/a.yaml', container('a', 'r1'));
    await followed.untilInForce('a=r1');
    expect(followed.source.health()).toMatchObject({
      mode: 'poll',
      pollsBecause: 'it was asked for',
      degraded: null,
    });
  });

  it('is chosen by the file system', () => {
    const type = (magic: number) => silentFilesystemOf('/a/b', () => magic);
    expect(type(0x6969)).toBe('nfs');
    // As a 32-bit system has it: signed.
    expect(type(0xff534d42 | 0)).toBe('cifs');
    expect(type(0x01021997)).toBe('9p');
    expect(type(0x65735546)).toBe('fuse');
    expect(type(0x794c7630)).toBe('overlay');
    expect(type(0xef53)).toBeNull();
    const missing = (path: string): number | null => (path === '/' ? 0x6969 : null);
    expect(silentFilesystemOf('/not/there/yet', missing)).toBe('nfs');
    // procfs is a file system that this machine surely has, and none of these.
    expect(silentFilesystemOf('/proc/self')).toBeNull();
  });
});

describe('a thousand edits in a row', () => {
  it('end in the last one, and leave no file and no watch open', async () => {
    await using place = new Place();
    place.write('c/a.yaml', container('a', 'r0'));
    const followed = place.follow('c', { settleMs: 0 });
    await followed.untilInForce('a=r0');
    await pause(200);
    const before = opened();
    for (let n = 1; n <= 1000; n += 1) {
      edit(place, n);
      if (n % 20 === 0) await pause(5);
    }
    await followed.untilInForce('a=r1000');
    await followed.until(() => sameCounts(opened(), before));
    await followed.close();
    const left = opened();
    expect(left.watches).toBeLessThan(before.watches);
    expect(left.fds).toBeLessThanOrEqual(before.fds);
  });
});

/** In place, by a rename, as a new directory, and with a directory beside it that comes and goes. */
function edit(place: Place, n: number): void {
  const text = container('a', `r${n}`);
  switch (n % 4) {
    case 0:
      place.write('c/a.yaml', text);
      return;
    case 1:
      place.write('c/.tmp', text);
      renameSync(place.path('c/.tmp'), place.path('c/a.yaml'));
      return;
    case 2:
      rmSync(place.path('c'), { recursive: true });
      place.write('c/a.yaml', text);
      return;
    default:
      mkdirSync(place.path('c/sub'), { recursive: true });
      place.write('c/a.yaml', text);
      rmSync(place.path('c/sub'), { recursive: true });
  }
}

interface Counts {
  readonly fds: number;
  readonly instances: number;
  readonly watches: number;
}

/** Open files of this process, inotify instances among them, and the watches that those have. */
function opened(): Counts {
  const fds = readdirSync('/proc/self/fd');
  const instances = fds.filter((fd) => target(fd).includes('inotify'));
  const watches = instances.flatMap((fd) =>
    readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8').split('\n'),
  );
  return {
    fds: fds.length,
    instances: instances.length,
    watches: watches.filter((line) => line.startsWith('inotify wd:')).length,
  };
}

function target(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return '';
  }
}

function sameCounts(a: Counts, b: Counts): boolean {
  return a.fds === b.fds && a.instances === b.instances && a.watches === b.watches;
}
