/** When a state of the files is acted on, and when its removals are, on a clock that the test moves. */
import { describe, expect, it } from 'vitest';
import type { Clock, MonotonicMs } from '../../src/base/clock.ts';
import { BUSY_MS, Intake, type IntakeResult } from '../../src/daemon/intake.ts';
import type { Source, SourceRoot } from '../../src/source/files.ts';
import { container } from '../source/followed.ts';

const SETTLE_MS = 500;
const GRACE_MS = 30_000;

type Delivery = SourceRoot['delivery'];

/** A state of the files: one document for each name, the digest from what they say. */
function state(names: string, more: { delivery?: Delivery; real?: string } = {}): Source {
  const { delivery = 'directory', real = '/c' } = more;
  const text = names
    .split(' ')
    .filter(Boolean)
    .map((each) => {
      const [name = '', ...devices] = each.split(':');
      return container(
        name,
        'r0',
        devices.map((slot) => `0000:${slot}:00.0`),
      );
    })
    .join('---\n');
  const files = [{ path: '/c/a.yaml', bytes: new TextEncoder().encode(text) }];
  const root = { real, digest: names, isLinked: delivery === 'link', delivery };
  return { files, issues: [], digest: names, revision: null, roots: [root], unsettled: null };
}

/** An intake whose files and time are the test's. */
class Rig {
  files: Source;
  time = 0;
  readonly intake: Intake;

  constructor(first: Source) {
    this.files = first;
    const clock: Clock = { now: () => this.time as MonotonicMs, sleep: () => Promise.resolve() };
    this.intake = new Intake({
      clock,
      settleMs: SETTLE_MS,
      removalGraceMs: GRACE_MS,
      read: () => this.files,
    });
  }

  /** Looks after the time has passed. */
  async look(afterMs = 0, files?: Source): Promise<IntakeResult> {
    this.time += afterMs;
    if (files !== undefined) this.files = files;
    return await this.intake.look();
  }

  /** Looks until the state is in force, and its grace is over. */
  async settle(): Promise<void> {
    await this.look();
    await this.look(4 * SETTLE_MS);
    await this.look(GRACE_MS);
    expect(this.removals).toBe(true);
  }

  get removals(): boolean {
    return this.intake.removalsSettled(this.time as MonotonicMs);
  }
}

describe('the quiet time', () => {
  it.each<[Delivery, number]>([
    ['directory', 4 * SETTLE_MS],
    ['file', SETTLE_MS],
    ['git', SETTLE_MS],
    ['ready-file', 0],
    ['link', 0],
  ])('of a %s', async (delivery, quietMs) => {
    const rig = new Rig(state('a', { delivery }));
    if (quietMs > 0) {
      expect(await rig.look()).toMatchObject({ state: 'changing', againMs: quietMs });
      expect(await rig.look(quietMs - 1)).toMatchObject({ state: 'changing' });
      rig.time += 1;
    }
    expect(await rig.look()).toMatchObject({ state: 'loaded' });
    expect(await rig.look()).toEqual({ state: 'same', back: false });
  });

  it('begins anew with every change', async () => {
    const rig = new Rig(state('a'));
    await rig.look();
    await rig.look(1900, state('a b'));
    expect(await rig.look(1900)).toMatchObject({ state: 'changing', againMs: 100 });
    expect(await rig.look(100)).toMatchObject({ state: 'loaded' });
  });

  it('begins anew when somebody is found writing', async () => {
    const rig = new Rig(state('a'));
    await rig.look();
    const writing = { ...state('a'), unsettled: 'git is writing' };
    expect(await rig.look(1900, writing)).toMatchObject({
      state: 'changing',
      who: writing.unsettled,
    });
    expect(await rig.look(1900, state('a'))).toMatchObject({ state: 'changing' });
    expect(await rig.look(100)).toMatchObject({ state: 'loaded' });
  });

  it('is nothing where files went and came back meanwhile', async () => {
    const rig = new Rig(state('a b'));
    await rig.settle();
    expect(await rig.look(0, state('a'))).toMatchObject({ state: 'changing' });
    expect(rig.removals).toBe(false);
    expect(await rig.look(100, state('a b'))).toEqual({ state: 'same', back: false });
    expect(rig.removals).toBe(true);
  });
});

describe('a writer', () => {
  it('is waited for, and reported after half a minute; what is in force stays', async () => {
    const rig = new Rig(state('a'));
    await rig.settle();
    const writing = { ...state('a b'), unsettled: 'git is writing: x exists' };
    expect(await rig.look(0, writing)).toMatchObject({ state: 'changing' });
    expect(await rig.look(BUSY_MS - 1)).toMatchObject({ state: 'changing' });
    expect(await rig.look(1)).toMatchObject({ state: 'busy', who: writing.unsettled });
    expect(rig.intake.good?.digest).toBe('a');
    expect(rig.removals).toBe(false);
    await rig.look(0, state('a b'));
    expect(await rig.look(4 * SETTLE_MS)).toMatchObject({ state: 'loaded' });
  });

  it('is reported too where he never says so, but never lets the files rest', async () => {
    const rig = new Rig(state('a'));
    await rig.settle();
    let last: IntakeResult | null = null;
    for (let n = 0; rig.time < 2 * BUSY_MS + GRACE_MS; n += 1) {
      last = await rig.look(1000, state(`a b${n}`));
    }
    expect(last).toMatchObject({ state: 'busy', who: 'the files have just changed' });
    expect(rig.intake.good?.digest).toBe('a');
  });
});

describe('removals', () => {
  it('wait for the grace after the start, when nobody knows what was there before', async () => {
    const rig = new Rig(state('a'));
    await rig.look();
    await rig.look(4 * SETTLE_MS);
    expect(rig.removals).toBe(false);
    await rig.look(GRACE_MS - 1);
    expect(rig.removals).toBe(false);
    expect(rig.intake.graceLeftMs(rig.time as MonotonicMs)).toBe(1);
    // Time alone is not enough: a look has to find it missing still.
    rig.time += 1;
    expect(rig.removals).toBe(false);
    await rig.look();
    expect(rig.removals).toBe(true);
  });

  it('are counted from when each went, whatever else is edited', async () => {
    const rig = new Rig(state('a b'));
    await rig.settle();
    await rig.look(0, state('a'));
    await rig.look(4 * SETTLE_MS);
    await rig.look(20_000, state('a c'));
    await rig.look(4 * SETTLE_MS);
    expect(rig.removals).toBe(false);
    await rig.look(GRACE_MS - 22_000);
    expect(rig.removals).toBe(true);
  });

  it('of a device are counted like those of a container', async () => {
    const rig = new Rig(state('a:01:02'));
    await rig.settle();
    await rig.look(0, state('a:01'));
    await rig.look(4 * SETTLE_MS);
    expect(rig.removals).toBe(false);
    await rig.look(0, state('a:01:02'));
    await rig.look(4 * SETTLE_MS);
    expect(rig.removals).toBe(true);
  });

  it('are not settled while the files are not what is in force', async () => {
    const rig = new Rig(state('a'));
    await rig.settle();
    const broken = { ...state('a'), digest: 'broken', files: [] };
    const issue = {
      file: '/c',
      line: 1,
      column: 1,
      rule: 'AD1001' as const,
      message: '',
      remedy: '',
    };
    const invalid = { ...broken, issues: [{ ...issue, excerpt: null, caret: 0, related: null }] };
    await rig.look(0, invalid);
    expect(await rig.look(4 * SETTLE_MS)).toMatchObject({ state: 'invalid' });
    expect(rig.removals).toBe(false);
    expect(await rig.look()).toEqual({ state: 'same', back: false });
    expect(await rig.look(0, state('a'))).toEqual({ state: 'same', back: true });
    expect(rig.removals).toBe(true);
  });

  it('need no grace where a link was switched, but where its target was edited', async () => {
    const rig = new Rig(state('a b', { delivery: 'link', real: '/1' }));
    await rig.look();
    expect(rig.removals).toBe(true);
    await rig.look(0, state('a', { delivery: 'link', real: '/2' }));
    expect(rig.intake.good).toMatchObject({ digest: 'a', isAtomic: true });
    expect(rig.removals).toBe(true);
    await rig.look(0, state('', { delivery: 'link', real: '/2' }));
    expect(await rig.look(4 * SETTLE_MS)).toMatchObject({ state: 'loaded' });
    expect(rig.removals).toBe(false);
  });

  it('need none any more once a work tree agrees with its index', async () => {
    const rig = new Rig(state('a b'));
    await rig.settle();
    await rig.look(0, state('a'));
    await rig.look(4 * SETTLE_MS);
    expect(rig.removals).toBe(false);
    await rig.look(1000, state('a', { delivery: 'git' }));
    expect(rig.removals).toBe(true);
  });
});
