/** The simulation with fixed seeds, seeds that once found a bug, and a bug on purpose for every invariant. */
import { describe, expect, it } from 'vitest';
import { INVARIANTS } from './invariants.ts';
import { simulate } from './simulation.ts';

const FIXED = [1, 2, 3, 4, 5, 6, 7, 8];

/** Seeds that found something, each with what it was; 100 steps each. */
const FOUND = [
  [5, 'a removal that waited for ever after a typo was mended'],
  [3, 'a driver that answers a probe with an unusual errno'],
  [2, 'a loop that turned in a circle while a refused config hid a removal'],
  [206, 'a device that was stopped again with every try, because what could fail came after'],
  [221, 'a page table that was freed under a device in its grace period'],
  [244, 'the same for a container that goes to another context'],
  [1039, 'a rename that a blocker held up, and a device of it that was to be let go'],
  [5021, 'a device that nobody let go because its cell was blocked (found at 400 steps)'],
] as const;

describe('the simulation', () => {
  it.each(FIXED)('is clean with seed %i', async (seed) => {
    const { violations } = await simulate({ seed, steps: 60 });
    expect(violations).toEqual([]);
  });

  it.each(FOUND)('stays clean with seed %i: %s', async (seed) => {
    const { violations } = await simulate({ seed, steps: 100 });
    expect(violations).toEqual([]);
  });

  it.each([51, 52, 53])('is clean with seed %i where everything is tracked', async (seed) => {
    const { violations } = await simulate({ seed, steps: 60, tracked: true });
    expect(violations).toEqual([]);
  });

  it.each([
    [61, 'uevents'],
    [62, 'uevents'],
    [63, 'requests'],
    [64, 'requests'],
  ] as const)(
    'releases at once what is removed at rest, with seed %i by %s',
    async (seed, hears) => {
      const { violations } = await simulate({ seed, steps: 40, hears });
      expect(violations).toEqual([]);
    },
  );

  it('finds a daemon that does not hear that a device is removed', async () => {
    const deaf = new Set<string>();
    for (let seed = 61; seed < 71 && deaf.size === 0; seed += 1) {
      const { violations } = await simulate({ seed, steps: 16, hears: 'nothing' });
      for (const { invariant } of violations) deaf.add(invariant);
    }
    expect([...deaf]).toEqual(['release']);
  });

  it.each([1, 2, 3, 4, 5, 6])('is clean with seed %i where the daemon is killed', async (seed) => {
    const { violations, restarts } = await simulate({ seed, steps: 40, crashes: true });
    expect(violations).toEqual([]);
    expect(restarts).toBeGreaterThan(0);
  });

  it('follows from its seed', async () => {
    const run = async (): Promise<readonly string[]> => {
      const lines: string[] = [];
      await simulate({ seed: 11, steps: 20, log: (line) => lines.push(line) });
      return lines;
    };
    const first = await run();
    expect(first.length).toBeGreaterThan(10);
    expect(await run()).toEqual(first);
  });

  it.each(INVARIANTS)('catches a planted breach of %s', async (plant) => {
    const caught = new Set<string>();
    // The seed where a search from 1 found a move between two HWPTs that track.
    const first = plant === 'tracking' ? 19 : 1;
    for (let seed = first; seed < first + 30 && !caught.has(plant); seed += 1) {
      const { violations } = await simulate({
        seed,
        steps: 40,
        plant,
        tracked: plant === 'tracking',
        crashes: plant === 'restart',
      });
      for (const { invariant } of violations) caught.add(invariant);
    }
    expect([...caught]).toContain(plant);
  });
});
