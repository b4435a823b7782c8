/** Sleeps that are longer than a timer of Node can be: `--resync` takes any number. */
import { expect, it } from 'vitest';
import { systemClock } from '../../src/cli/system-clock.ts';

it('sleeps when it is told to sleep for months', async () => {
  const stop = new AbortController();
  let isOver = false;
  const sleep = systemClock()
    .sleep(3_000_000_000, stop.signal)
    .then(() => {
      isOver = true;
    });
  await systemClock().sleep(50);
  expect(isOver).toBe(false);
  stop.abort();
  await sleep;
});
