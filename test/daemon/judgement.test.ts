/** What a removal waits for, and what it does not wait for, where its cell has more to do. */
import { describe, expect, it } from 'vitest';
import { Holds } from '../../src/daemon/holds.ts';
import { fingerprintOf, judge } from '../../src/daemon/judgement.ts';
import type { Plan } from '../../src/plan/types.ts';
import type { Step } from '../../src/steps/def.ts';

const close = { kind: 'close-device', args: { context: 'x', device: '0000:01:00.0' } };
const open = { kind: 'open-device', args: { context: 'x', device: '0000:02:00.0' } };

function planOf(isRemoval: boolean): Plan {
  const place = { cell: 'blue', container: 'blue', why: '', lane: '', after: [] };
  const removal = isRemoval ? { isRemoval: true } : {};
  const steps = [
    { ...open, ...place, id: 's1' },
    { ...close, ...place, id: 's2', ...removal },
  ];
  const cells = [{ cell: 'blue', containers: ['blue'] }];
  return { cells, steps, blocked: [], waiting: [] } as unknown as Plan;
}

function stateOf(plan: Plan, holds: Holds, drift: 'correct' | 'report'): string | undefined {
  const settled = new Set(['blue']);
  const around = { now: 0, holds, settled, drift, isRequested: false, isSuspended: false };
  return judge(plan, around).get('blue')?.state;
}

function failedWith(steps: readonly Step[]): Holds {
  const holds = new Holds(() => 0.5);
  holds.failed('blue', { fingerprint: fingerprintOf(steps), retry: 'later', text: '' }, 0);
  return holds;
}

describe('a removal beside other steps', () => {
  it('is due although drift is only reported', () => {
    expect(stateOf(planOf(false), new Holds(() => 0.5), 'report')).toBe('reported');
    expect(stateOf(planOf(true), new Holds(() => 0.5), 'report')).toBe('due');
  });

  it('waits for no failure that came before it, and is not repeated without end', () => {
    const plan = planOf(true);
    expect(stateOf(planOf(false), failedWith([]), 'correct')).toBe('held');
    expect(stateOf(plan, failedWith([]), 'correct')).toBe('due');
    expect(stateOf(plan, failedWith(plan.steps), 'correct')).toBe('held');
  });
});
