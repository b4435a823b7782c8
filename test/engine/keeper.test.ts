/** A service manager that does not take a file: the step fails, nothing stays open, and the next attempt converges. */
import { describe, expect, it } from 'vitest';
import { applyAttempt, planAttempt } from '../../src/engine/attempt.ts';
import type { FileKeeper } from '../../src/engine/run/context.ts';
import { SyscallError } from '../../src/kernel/port.ts';
import { DEFAULT_OPTIONS } from '../../src/plan/planner-options.ts';
import { leaksOf } from '../support/leaks.ts';
import { configIn, hostIn, World } from '../support/world.ts';

function refusing(nth: number): FileKeeper & { readonly letGone: number[] } {
  let times = 0;
  const letGone: number[] = [];
  return {
    letGone,
    async keep(fd) {
      times += 1;
      if (times === nth) throw new SyscallError('FDSTORE', 'ENOSPC', `file ${fd}`);
    },
    async letGo(fd) {
      letGone.push(fd);
    },
  };
}

describe('a file that is not kept', () => {
  it.each([1, 2, 3])('is closed again, as the %i. of an apply', async (nth) => {
    const world = new World(hostIn('test/cases/host.yaml'));
    const config = configIn('test/cases/from-nothing/config.yaml');
    const keeper = refusing(nth);
    const host = { ...world.host, keeper };
    const planned = planAttempt(host, config, DEFAULT_OPTIONS);
    const { result } = await applyAttempt(host, planned, config, { parallel: 1 });
    expect(result.cells.some((cell) => cell.result !== 'applied')).toBe(true);
    expect(keeper.letGone).not.toHaveLength(0);
    expect(leaksOf(world.machine, world.host.journal)).toEqual([]);
    const again = await world.apply(config);
    expect(again.result.cells.every((cell) => cell.result === 'applied')).toBe(true);
  });
});
