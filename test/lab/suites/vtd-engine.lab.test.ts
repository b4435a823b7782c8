/** The engine in this process on a real kernel: a refused attach leaves nothing behind, and an observation is what a snapshot says. */
import { describe, expect, it } from 'vitest';
import type { Bdf, IoasId } from '../../../src/base/ids.ts';
import { applyPlan } from '../../../src/engine/apply.ts';
import { observeHost, runContextOf } from '../../../src/engine/host.ts';
import { formatCell } from '../../../src/engine/report.ts';
import { allowIovas } from '../../../src/kernel/iommufd.ts';
import type { Fd } from '../../../src/kernel/port.ts';
import { classify } from '../../../src/kernel/probe.ts';
import { planHost } from '../../../src/plan/planner.ts';
import { configOf } from '../../support/world.ts';
import { bindVfio, container, rootEdus } from '../guest.ts';
import { closeAll, kernelHost } from '../kernel-host.ts';

describe('the engine on a real kernel', () => {
  it('frees the HWPT of an attach that the kernel refuses after the allocation', async () => {
    const [edu] = rootEdus();
    bindVfio(edu as Bdf);
    const host = kernelHost();
    const config = configOf(container('a', { devices: [{ pci: edu }] }));
    const plan = planHost(config, observeHost(host).graph);
    const allocated: number[] = [];
    const result = await applyPlan(plan, runContextOf(host), {
      parallel: 1,
      onEvent(event) {
        if (event.kind !== 'step-ended' || event.outcome.status !== 'done') return;
        const [context] = host.journal.contexts();
        const [one] = context?.containers ?? [];
        // Behind the planner's back: the window that the device reserves is promised to somebody.
        if (event.outcome.step.kind === 'alloc-ioas' && context && one) {
          const window = [{ start: 0xfe000000n, last: 0xffffffffn }];
          allowIovas(host.syscalls, context.fd as Fd, one.ioas as IoasId, window);
        }
        if (event.outcome.step.kind === 'alloc-hwpt')
          allocated.push(...(one?.hwpts ?? []).map(({ id }) => id));
      },
    });
    const [cell] = result.cells;
    expect(cell?.result).toBe('stopped');
    expect(cell && formatCell(cell)).toContain('EADDRINUSE: the device reserves addresses');
    expect(allocated).toHaveLength(1);
    const [context] = host.journal.contexts();
    expect(context?.containers).toEqual([]);
    expect(classify(host.syscalls, context?.fd as Fd, allocated[0] ?? 0)).toBe('untyped');
    await closeAll(host);
  });
});
