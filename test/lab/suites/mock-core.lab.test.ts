/** The engine on the real iommufd with mock devices: dirty tracking for real, which VT-d in the lab cannot do. */
import { describe, expect, it } from 'vitest';
import type { applyAttempt } from '../../../src/engine/attempt.ts';
import { formatFailedStep } from '../../../src/engine/report.ts';
import { HOST, MockWorld } from '../mock-world.ts';

const devices = [{ pci: '0000:01:00.0' }, { pci: '0000:02:00.0' }];
const kinds = (attempt: Awaited<ReturnType<typeof applyAttempt>>): readonly string[] =>
  attempt.plan.steps.map((step) => step.kind);

describe('dirty tracking on the selftest mock', () => {
  it('converges as required, switches on and off, and finds nothing to do afterwards', async () => {
    const world = new MockWorld();
    const first = await world.apply({ devices, dirtyTracking: { mode: 'required' } });
    expect(first.drift).toEqual([]);
    expect(first.result.cells).toMatchObject([{ result: 'applied' }]);
    expect(world.states()).toEqual(['capable']);
    const on = await world.apply({ devices, dirtyTracking: { mode: 'required', active: true } });
    expect(kinds(on)).toEqual(['set-dirty-tracking']);
    const off = await world.apply({ devices, dirtyTracking: { mode: 'required' } });
    expect(kinds(off)).toEqual(['set-dirty-tracking']);
    expect(kinds(await world.apply({ devices, dirtyTracking: { mode: 'required' } }))).toEqual([]);
  });

  it('goes from none to required by allocate, replace, destroy, and no detach', async () => {
    const world = new MockWorld();
    await world.apply({ devices });
    expect(world.states()).toEqual(['none']);
    const edit = await world.apply({ devices, dirtyTracking: { mode: 'required', active: true } });
    expect(kinds(edit)).toEqual([
      'alloc-hwpt',
      'set-dirty-tracking',
      'attach-device',
      'attach-device',
      'destroy-hwpt',
    ]);
    expect(edit.drift).toEqual([]);
    expect(world.states()).toEqual(['active']);
  });

  it('splits under preferred, and refuses the device that cannot under required', async () => {
    const world = new MockWorld();
    const all = [...devices, { pci: '0000:03:00.0' }];
    const split = await world.apply({ devices: all, dirtyTracking: { mode: 'preferred' } });
    expect(split.drift).toEqual([]);
    expect([...world.states()].sort()).toEqual(['capable', 'none']);
    const refused = await world.apply({ devices: all, dirtyTracking: { mode: 'required' } });
    expect(refused.plan.blocked).toMatchObject([
      { kind: 'dirty-tracking-unsupported', device: '0000:03:00.0' },
    ]);
  });

  it('hears EOPNOTSUPP where nobody knew and the kernel refuses it, and rolls the rest back', async () => {
    // Nobody knows what this IOMMU can: the plan asks the kernel.
    const unknown = HOST.replace(
      '"ivhd1","type":"amd","dirtyTracking":false',
      '"ivhd1","type":"other"',
    );
    const world = new MockWorld(unknown);
    const spec = { devices: [{ pci: '0000:03:00.0' }], dirtyTracking: { mode: 'required' } };
    const { result } = await world.apply(spec);
    const [cell] = result.cells;
    if (cell?.result !== 'stopped') throw new Error(`expected it to stop: ${cell?.result}`);
    expect(formatFailedStep(cell.failed)).toContain(
      'EOPNOTSUPP: the IOMMU of the device cannot give',
    );
    expect(world.states()).toEqual([]);
  });
});
