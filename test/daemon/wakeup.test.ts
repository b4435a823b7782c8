/** Hints in a storm: what devices say becomes one, what a person asked is kept. */
import { describe, expect, it } from 'vitest';
import type { DeviceKey } from '../../src/base/ids.ts';
import { Wakeup } from '../../src/daemon/wakeup.ts';
import { testClock } from '../support/world.ts';

const KEY = '0000:01:00.0' as DeviceKey;

describe('hints', () => {
  it.each([0, 63, 64, 200])('keep a request that comes after %i events', (before) => {
    const wakeup = new Wakeup(testClock());
    const storm = (times: number): void => {
      for (let n = 0; n < times; n += 1) wakeup.wake({ kind: 'devices', keys: [KEY] });
    };
    storm(before);
    wakeup.wake({ kind: 'request' });
    wakeup.wake({ kind: 'files' });
    storm(200);
    const hints = wakeup.take();
    expect(hints.length).toBeLessThanOrEqual(64);
    expect(new Set(hints.map(({ kind }) => kind))).toEqual(
      new Set(['devices', 'request', 'files']),
    );
    expect(hints).toContainEqual({ kind: 'devices', keys: null });
    expect(wakeup.take()).toEqual([]);
  });
});
