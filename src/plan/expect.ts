/** What must be true once a plan is applied. Worked out from what is wanted, not from the steps, so that a missing step shows. */
import { type Cells, cellOfLeave } from './cells.ts';
import { needOf } from './need.ts';
import type { Expectation } from './types.ts';
import { contextsThatEnd, iommuOf, type Wanted, type World } from './world.ts';

/** The expectations of every cell that nothing blocks. */
export function expectationsOf(
  world: World,
  cells: Cells,
  isOpen: (cell: string) => boolean,
): readonly Expectation[] {
  const expected: Expectation[] = [];
  for (const wanted of world.wanted) {
    const cell = cells.ofContainer(wanted.spec.name);
    if (isOpen(cell)) expected.push(...ofContainer(world, wanted, cell));
  }
  for (const { container, context } of world.removals) {
    const cell = cells.ofContext(context);
    if (isOpen(cell)) {
      expected.push({ kind: 'container-gone', cell, container: container.name, context });
    }
  }
  for (const key of world.leaving) {
    const own = cells.ofContext(world.holdings.get(key)?.context ?? '');
    const cell = cellOfLeave(key, own, world.selection.going, isOpen);
    if (cell !== null) expected.push({ kind: 'released', cell, device: key });
  }
  for (const context of contextsThatEnd(world)) {
    const cell = cells.ofContext(context);
    if (isOpen(cell)) expected.push({ kind: 'context-gone', cell, context });
  }
  return expected;
}

function ofContainer(world: World, wanted: Wanted, cell: string): readonly Expectation[] {
  const { name: container, context, iova, dirtyTracking } = wanted.spec;
  const attached = wanted.devices.map((device): Expectation => {
    const place = { kind: 'attached', cell, container, context, device: device.key } as const;
    if (device.kind === 'mdev') return { ...place, hwpt: null };
    const need = needOf(wanted.spec, device, iommuOf(world.graph, device));
    const on = dirtyTracking.active ? 'active' : 'capable';
    const state = need.dirtyTracking ? on : 'none';
    return { ...place, hwpt: { dirtyTracking: state, nesting: need.nesting } };
  });
  const { allow, hugePages } = iova;
  return [{ kind: 'container', cell, container, context, allow, hugePages }, ...attached];
}
