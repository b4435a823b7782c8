/** The ways in which files reach a host, each with real files, and with nothing but events to make us look again. */
import { renameSync, rmSync, symlinkSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { container, type Followed, Place, pause } from './followed.ts';

/** What every case shows at its end: it still hears. */
async function stillHears(followed: Followed, write: (text: string) => void): Promise<void> {
  write(container('a', 'last'));
  await followed.until(() => followed.inForce?.includes('a=last') ?? false);
  expect(followed.source.health()).toMatchObject({ mode: 'events', degraded: null });
}

describe.concurrent('editors', () => {
  it('write a temporary file and rename it, in a directory', async () => {
    await using place = new Place();
    place.write('c/a.yaml', container('a', 'r0'));
    const followed = place.follow('c');
    await followed.untilInForce('a=r0');
    place.write('c/.a.yaml.swp', container('a', 'r1'));
    renameSync(place.path('c/.a.yaml.swp'), place.path('c/a.yaml'));
    await followed.untilInForce('a=r1');
    await stillHears(followed, (text) => place.write('c/a.yaml', text));
  });

  it('do the same to a file that is followed by itself, four times', async () => {
    await using place = new Place();
    place.write('c/a.yaml', container('a', 'r0'));
    const followed = place.follow('c/a.yaml');
    await followed.untilInForce('a=r0');
    for (const rev of ['r1', 'r2', 'r3', 'r4']) {
      place.write('c/tmp', container('a', rev));
      renameSync(place.path('c/tmp'), place.path('c/a.yaml'));
      await followed.untilInForce(`a=${rev}`);
    }
    await stillHears(followed, (text) => place.write('c/a.yaml', text));
  });

  it('move the file to a backup and write a new one', async () => {
    await using place = new Place();
    place.write('c/a.yaml', container('a', 'r0'));
    place.write('c/b.yaml', container('b', 'r0'));
    const followed = place.follow('c');
    await followed.untilInForce('a=r0 b=r0');
    renameSync(place.path('c/a.yaml'), place.path('c/a.yaml~'));
    place.write('c/a.yaml', container('a', 'r1'));
    await followed.untilInForce('a=r1 b=r0');
    expect(followed.loaded).not.toContain('b=r0');
    await stillHears(followed, (text) => place.write('c/a.yaml', text));
  });

  it('delete the file and write it again 400 ms later: never a removal', async () => {
    await using place = new Place();
    place.write('c/a.yaml', container('a', 'r0'));
    place.write('c/b.yaml', container('b', 'r0'));
    const followed = place.follow('c', { graceMs: 3000 });
    await followed.untilInForce('a=r0 b=r0');
    await followed.until(() => followed.removalsIn.has('a=r0 b=r0'));
    unlinkSync(place.path('c/a.yaml'));
    await followed.untilInForce('b=r0');
    await pause(400);
    expect(followed.intake.removalsSettled(followed.now)).toBe(false);
    place.write('c/a.yaml', container('a', 'r1'));
    await followed.untilInForce('a=r1 b=r0');
    expect([...followed.removalsIn]).not.toContain('b=r0');
    await stillHears(followed, (text) => place.write('c/a.yaml', text));
  });
});

/** Kubelet's volume: files in a dated directory, `..data` onto it, and a visible link for each file. */
function publish(place: Place, date: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) place.write(`v/..${date}/${name}`, text);
  symlinkSync(`..${date}`, place.path('v/..data_tmp'));
  renameSync(place.path('v/..data_tmp'), place.path('v/..data'));
}

function show(place: Place, name: string): void {
  symlinkSync(`..data/${name}`, place.path('v', name));
}

describe.concurrent("kubelet's ..data", () => {
  it.each([
    ['the old directory is removed', true, 'before'],
    ['the old directory is kept', false, 'before'],
    ['the links of new files come after the swap', true, 'after'],
  ] as const)('is switched: %s', async (_what, removesOld, links) => {
    await using place = new Place();
    publish(place, '2026_01', { 'a.yaml': container('a', 'r0'), 'b.yaml': container('b', 'r0') });
    show(place, 'a.yaml');
    show(place, 'b.yaml');
    const followed = place.follow('v');
    await followed.untilInForce('a=r0 b=r0');
    // Older kubelets show a new file before there is one: the link leads nowhere for a moment.
    if (links === 'before') show(place, 'c.yaml');
    publish(place, '2026_02', { 'a.yaml': container('a', 'r1'), 'c.yaml': container('c', 'r1') });
    await followed.untilInForce('a=r1 c=r1');
    if (links === 'after') show(place, 'c.yaml');
    unlinkSync(place.path('v/b.yaml'));
    if (removesOld) rmSync(place.path('v/..2026_01'), { recursive: true });
    expect(followed.loaded).toEqual(['a=r0 b=r0', 'a=r1 c=r1']);
    // It was switched as a whole, so b is meant to go: at once.
    expect(followed.intake.good?.isAtomic).toBe(true);
    expect([...followed.removalsIn]).toContain('a=r1 c=r1');
    publish(place, '2026_03', { 'a.yaml': container('a', 'r2') });
    await followed.untilInForce('a=r2');
    await stillHears(followed, (text) => place.write('v/..2026_03/a.yaml', text));
  });

  it('does not make an edit below it a switch', async () => {
    await using place = new Place();
    publish(place, '2026_01', { 'a.yaml': container('a', 'r0'), 'b.yaml': container('b', 'r0') });
    const followed = place.follow('v', { graceMs: 600_000 });
    await followed.untilInForce('a=r0 b=r0');
    unlinkSync(place.path('v/..2026_01/b.yaml'));
    await followed.untilInForce('a=r0');
    expect(followed.intake.good?.isAtomic).toBe(false);
    expect(followed.intake.removalsSettled(followed.now)).toBe(false);
  });
});

const COMMITS = ['1', '2', '3'].map((digit) => digit.repeat(40));

describe.concurrent("git-sync's link", () => {
  it.each([
    ['removed', true],
    ['kept', false],
  ] as const)('is switched, the old tree is %s', async (_what, removesOld) => {
    await using place = new Place();
    const sync = (commit: string, text: string): void => {
      place.write(`g/.worktrees/${commit}/config/a.yaml`, text);
      symlinkSync(`.worktrees/${commit}`, place.path('g/tmp-link'));
      renameSync(place.path('g/tmp-link'), place.path('g/current'));
    };
    const [one, two, three] = COMMITS as [string, string, string];
    sync(one, `${container('a', 'r0')}---\n${container('b', 'r0')}`);
    const followed = place.follow('g/current/config');
    await followed.untilInForce('a=r0 b=r0');
    expect(followed.intake.good?.revision).toBe(one);
    sync(two, container('a', 'r1'));
    if (removesOld) rmSync(place.path('g/.worktrees', one), { recursive: true });
    await followed.untilInForce('a=r1');
    expect(followed.intake.good).toMatchObject({ revision: two, isAtomic: true });
    expect([...followed.removalsIn]).toContain('a=r1');
    sync(three, container('a', 'r2'));
    await followed.untilInForce('a=r2');
    expect(followed.loaded).toEqual(['a=r0 b=r0', 'a=r1', 'a=r2']);
  });
});

describe.concurrent('the directory itself', () => {
  it('is removed and made again', async () => {
    await using place = new Place();
    place.write('p/c/a.yaml', container('a', 'r0'));
    const followed = place.follow('p/c');
    await followed.untilInForce('a=r0');
    rmSync(place.path('p/c'), { recursive: true });
    await followed.until(() => followed.last?.state === 'invalid');
    await followed.untilCalm();
    expect(followed.intake.good).not.toBeNull();
    place.write('p/c/a.yaml', container('a', 'r1'));
    await followed.untilInForce('a=r1');
    await stillHears(followed, (text) => place.write('p/c/a.yaml', text));
  });

  it('is replaced by a rename', async () => {
    await using place = new Place();
    place.write('c/sub/a.yaml', container('a', 'r0'));
    place.write('new/sub/a.yaml', container('a', 'r1'));
    const followed = place.follow('c');
    await followed.untilInForce('a=r0');
    renameSync(place.path('c'), place.path('old'));
    renameSync(place.path('new'), place.path('c'));
    await followed.untilInForce('a=r1');
    place.write('next/a.yaml', container('a', 'r2'));
    renameSync(place.path('c/sub'), place.path('old-sub'));
    renameSync(place.path('next'), place.path('c/sub'));
    await followed.untilInForce('a=r2');
    await stillHears(followed, (text) => place.write('c/sub/a.yaml', text));
  });

  it('is below a directory that is replaced by a rename, and then replaced itself', async () => {
    await using place = new Place();
    place.write('p/q/c/a.yaml', container('a', 'r0'));
    place.write('new/c/a.yaml', container('a', 'r1'));
    place.write('next/a.yaml', container('a', 'r2'));
    const followed = place.follow('p/q/c');
    await followed.untilInForce('a=r0');
    renameSync(place.path('p/q'), place.path('old-q'));
    renameSync(place.path('new'), place.path('p/q'));
    await followed.untilInForce('a=r1');
    renameSync(place.path('p/q/c'), place.path('old-c'));
    renameSync(place.path('next'), place.path('p/q/c'));
    await followed.untilInForce('a=r2');
    await stillHears(followed, (text) => place.write('p/q/c/a.yaml', text));
  });

  it('is behind a link in a directory that was replaced, and the new link is switched', async () => {
    await using place = new Place();
    for (const rev of ['r0', 'r1', 'r2']) place.write(`${rev}/a.yaml`, container('a', rev));
    place.write('p/keep', '');
    place.write('new/keep', '');
    symlinkSync('../r0', place.path('p/current'));
    symlinkSync('../r1', place.path('new/current'));
    const followed = place.follow('p/current');
    await followed.untilInForce('a=r0');
    renameSync(place.path('p'), place.path('old'));
    renameSync(place.path('new'), place.path('p'));
    await followed.untilInForce('a=r1');
    symlinkSync('../r2', place.path('p/tmp'));
    renameSync(place.path('p/tmp'), place.path('p/current'));
    await followed.untilInForce('a=r2');
  });

  it('is missing at first, and its parent too', async () => {
    await using place = new Place();
    const followed = place.follow('p/q/c');
    await followed.until(() => followed.last?.state === 'invalid');
    await followed.untilCalm();
    place.write('p/q/c/a.yaml', container('a', 'r0'));
    await followed.untilInForce('a=r0');
    await stillHears(followed, (text) => place.write('p/q/c/a.yaml', text));
  });

  it('is behind a link that is pointed elsewhere', async () => {
    await using place = new Place();
    place.write('one/c/a.yaml', container('a', 'r0'));
    place.write('two/c/a.yaml', container('a', 'r1'));
    symlinkSync('one', place.path('current'));
    const followed = place.follow('current/c');
    await followed.untilInForce('a=r0');
    // As `ln -sfn` does it: for a moment there is no link.
    unlinkSync(place.path('current'));
    symlinkSync('two', place.path('current'));
    await followed.untilInForce('a=r1');
    await stillHears(followed, (text) => place.write('two/c/a.yaml', text));
  });
});

describe.concurrent('contents', () => {
  it('change under the same mtime', async () => {
    await using place = new Place();
    place.write('c/a.yaml', container('a', 'r0'));
    utimesSync(place.path('c/a.yaml'), 1, 1);
    const followed = place.follow('c');
    await followed.untilInForce('a=r0');
    place.write('tmp', container('a', 'r1'));
    utimesSync(place.path('tmp'), 1, 1);
    renameSync(place.path('tmp'), place.path('c/a.yaml'));
    await followed.untilInForce('a=r1');
  });

  it('are the same after a touch: nothing happens, however often', async () => {
    await using place = new Place();
    place.write('c/a.yaml', container('a', 'r0'));
    const followed = place.follow('c');
    await followed.untilInForce('a=r0');
    for (let n = 0; n < 5; n += 1) {
      const looks = followed.results.length;
      utimesSync(place.path('c/a.yaml'), n, n);
      place.write('c/a.yaml', container('a', 'r0'));
      await followed.until(() => followed.results.length > looks);
    }
    expect(followed.loaded).toEqual(['a=r0']);
    expect(followed.source.health().foundByResync).toBe(0);
  });

  it('are cut off in the middle: the last good config stays', async () => {
    await using place = new Place();
    place.write('c/a.yaml', container('a', 'r0'));
    const followed = place.follow('c');
    await followed.untilInForce('a=r0');
    place.write('c/a.yaml', container('a', 'r1').slice(0, -20));
    await followed.until(() => followed.last?.state === 'invalid');
    expect(followed.intake.removalsSettled(followed.now)).toBe(false);
    expect(followed.inForce).toBe('a=r0');
    place.write('c/a.yaml', container('a', 'r1'));
    await followed.untilInForce('a=r1');
  });

  it.each([
    ['cut at the end of a line', container('a', 'r0', ['0000:01:00.0'])],
    ['an empty file', ''],
  ])('are valid and shorter (%s): nothing is removed within the grace', async (_what, short) => {
    await using place = new Place();
    const whole = container('a', 'r0', ['0000:01:00.0', '0000:02:00.0']);
    place.write('c/a.yaml', whole);
    place.write('c/b.yaml', container('b', 'r0'));
    const followed = place.follow('c', { graceMs: 3000 });
    await followed.untilInForce('a=r0 b=r0');
    await followed.until(() => followed.intake.removalsSettled(followed.now));
    followed.removalsIn.clear();
    place.write('c/a.yaml', short);
    await followed.until(() => followed.loaded.length === 2);
    expect(followed.intake.removalsSettled(followed.now)).toBe(false);
    place.write('c/a.yaml', whole);
    await followed.until(() => followed.loaded.length === 3);
    expect([...followed.removalsIn]).toEqual(['a=r0 b=r0']);
    expect(followed.inForce).toBe('a=r0 b=r0');
  });

  it('are all gone from a directory: a config of nothing, whose removals wait', async () => {
    await using place = new Place();
    place.write('c/a.yaml', container('a', 'r0'));
    const followed = place.follow('c', { graceMs: 600 });
    await followed.untilInForce('a=r0');
    unlinkSync(place.path('c/a.yaml'));
    await followed.until(() => followed.inForce === '');
    expect(followed.intake.removalsSettled(followed.now)).toBe(false);
    await followed.until(() => followed.removalsIn.has(''));
  });

  it('come one file after the other: additions as they come, no removal before the last', async () => {
    await using place = new Place();
    place.write('c/a.yaml', container('a', 'r0'));
    const followed = place.follow('c');
    await followed.untilInForce('a=r0');
    for (const name of ['b', 'd', 'e']) {
      writeFileSync(place.path(`c/${name}.yaml`), container(name, 'r0'));
      await pause(30);
    }
    await followed.untilInForce('a=r0 b=r0 d=r0 e=r0');
  });
});
