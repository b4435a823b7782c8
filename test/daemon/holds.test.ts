/** Waits of cells: back-off with a cap and jitter, failures that do not pass, corrections that do not last. */
import { describe, expect, it } from 'vitest';
import { Holds, WAIT_MS_MAX } from '../../src/daemon/holds.ts';

const MIDDLE = 0.5;

describe('waits', () => {
  it('double from one second up to five minutes', () => {
    const holds = new Holds(() => MIDDLE);
    const waits: number[] = [];
    let now = 0;
    for (let n = 0; n < 12; n += 1) {
      holds.failed('a', { fingerprint: 'f', retry: 'later', text: '' }, now);
      const until = holds.nextAt(now) ?? 0;
      waits.push(until - now);
      now = until;
      expect(holds.of('a', 'f', now - 1)?.kind).toBe('back-off');
      expect(holds.of('a', 'f', now)).toBeNull();
    }
    expect(waits.slice(0, 4)).toEqual([1000, 2000, 4000, 8000]);
    expect(waits.at(-1)).toBe(WAIT_MS_MAX);
  });

  it('differ by a fifth either way, and never pass the cap', () => {
    for (const random of [0, 0.999]) {
      const holds = new Holds(() => random);
      holds.failed('a', { fingerprint: 'f', retry: 'later', text: '' }, 0);
      expect(holds.nextAt(0)).toBe(random === 0 ? 800 : 1200);
      for (let n = 0; n < 20; n += 1) {
        holds.failed('a', { fingerprint: 'f', retry: 'later', text: '' }, 0);
      }
      expect(holds.nextAt(0)).toBeLessThanOrEqual(WAIT_MS_MAX);
    }
  });

  it('last until the plan of the cell changes, where waiting does not help', () => {
    const holds = new Holds(() => MIDDLE);
    holds.failed('a', { fingerprint: 'f', retry: 'on-new-input', text: 'EINVAL' }, 0);
    expect(holds.of('a', 'f', 1e12)).toEqual({ kind: 'terminal', text: 'EINVAL' });
    expect(holds.nextAt(0)).toBeNull();
    expect(holds.of('a', 'another plan', 0)).toBeNull();
    holds.clear();
    expect(holds.of('a', 'f', 0)).toBeNull();
  });

  it('end for a device that something happened to, without forgetting how often it failed', () => {
    const holds = new Holds(() => MIDDLE);
    for (let n = 0; n < 3; n += 1) {
      holds.failed('a', { fingerprint: 'f', retry: 'later', text: '' }, 0);
    }
    holds.release('a', 1000);
    expect(holds.of('a', 'f', 1000)).toBeNull();
    holds.failed('a', { fingerprint: 'f', retry: 'later', text: '' }, 1000);
    expect(holds.nextAt(1000)).toBe(9000);
  });

  it('stay for an event that the failure itself has made', () => {
    const holds = new Holds(() => MIDDLE);
    holds.failed('a', { fingerprint: 'f', retry: 'on-new-input', text: '' }, 5000);
    holds.release('a', 5010);
    expect(holds.of('a', 'f', 5010)?.kind).toBe('terminal');
  });

  it('stay for the events of somebody who keeps changing it', () => {
    const holds = new Holds(() => MIDDLE);
    for (const at of [0, 1, 2]) holds.applied('a', true, at);
    holds.release('a', 10_000);
    expect(holds.of('a', 'f', 10_000)?.kind).toBe('flapping');
  });

  it('come after the third correction within ten minutes, and longer with each', () => {
    const holds = new Holds(() => MIDDLE);
    holds.applied('a', true, 0);
    holds.applied('a', true, 60_000);
    expect(holds.of('a', 'f', 60_000)).toBeNull();
    holds.applied('a', true, 120_000);
    expect(holds.of('a', 'any', 120_000)?.kind).toBe('flapping');
    const first = (holds.nextAt(120_000) ?? 0) - 120_000;
    holds.applied('a', true, 200_000);
    expect((holds.nextAt(200_000) ?? 0) - 200_000).toBeGreaterThan(first);
    holds.applied('b', true, 0);
    holds.applied('b', true, 700_000);
    holds.applied('b', true, 1_400_000);
    expect(holds.of('b', 'f', 1_400_000)).toBeNull();
    holds.applied('c', false, 0);
    holds.applied('c', false, 1);
    holds.applied('c', false, 2);
    expect(holds.of('c', 'f', 2)).toBeNull();
  });
});
