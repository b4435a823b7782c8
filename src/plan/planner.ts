/**
 * The planner: desired state and live state in, a plan out. Pure and synchronous; a world in which
 * nothing can be done is a plan with blockers, not an exception.
 */
import { compareText } from '../base/ids.ts';
import type { Graph } from '../graph/types.ts';
import type { Config } from '../spec/config.ts';
import type { Step } from '../steps/def.ts';
import { type Cells, cellsOf } from './cells.ts';
import { costOf } from './cost.ts';
import {
  emitClosedContexts,
  emitContexts,
  emitIoas,
  emitRemovedIoas,
  emitRenames,
} from './emit/containers.ts';
import { emitLeaves, emitOpens } from './emit/devices.ts';
import { Emitter } from './emit/emitter.ts';
import {
  emitAttaches,
  emitFreedHwpts,
  emitNewHwpts,
  emitTracking,
  freeHwpts,
} from './emit/page-tables.ts';
import { expectationsOf } from './expect.ts';
import { lanesOf } from './lanes.ts';
import { notesOf } from './notes.ts';
import { DEFAULT_OPTIONS } from './planner-options.ts';
import { RULES } from './rules/index.ts';
import { orderSteps } from './step-list.ts';
import type { Blocker, Plan, PlanOptions } from './types.ts';
import { buildWorld, type World } from './world.ts';

/** Plans the fewest steps that make the host what the config says. */
export function planHost(
  config: Config,
  live: Graph,
  options: PlanOptions = DEFAULT_OPTIONS,
): Plan {
  const world = buildWorld(config, live, options);
  const cells = cellsOf(world);
  const blocked = [
    ...world.scope.blocked,
    ...world.selection.blocked,
    ...RULES.flatMap((rule) => rule(world)),
  ].sort((a, b) => compareText(a.container, b.container));
  const blockedCells = new Set(blocked.map((blocker) => cellOfBlocker(world, cells, blocker)));
  const emitter = new Emitter(world, cells, lanesOf(world.graph), blockedCells);
  emitAll(emitter);
  const steps = orderSteps(emitter.emissions);
  return {
    host: live.host,
    bootId: live.bootId,
    summary: costOf(steps, blocked),
    steps,
    blocked,
    notes: notesOf(world, (name) => emitter.isOpen(cells.ofContainer(name))),
    expects: expectationsOf(world, cells, (cell) => emitter.isOpen(cell)),
    waiting: world.waiting,
    untouched: untouchedOf(world, cells, steps, blockedCells),
    cells: cellListOf(world, cells),
  };
}

/** A call that is stuck in a context without containers blocks under the context's name. */
function cellOfBlocker(world: World, cells: Cells, { kind, container }: Blocker): string {
  const isContext = kind === 'stuck' && world.graph.contexts.get(container)?.containers.size === 0;
  return isContext ? cells.ofContext(container) : cells.ofContainer(container);
}

/** The order here is the order of the text; what must wait for what is said by the emitters. */
function emitAll(emitter: Emitter): void {
  emitRenames(emitter);
  emitContexts(emitter);
  emitLeaves(emitter);
  for (const placed of emitter.containers) {
    emitIoas(emitter, placed);
    emitOpens(emitter, placed);
    emitNewHwpts(emitter, placed);
    emitAttaches(emitter, placed);
    emitTracking(emitter, placed);
    emitFreedHwpts(emitter, placed);
  }
  for (const removal of emitter.world.removals) {
    const cell = emitter.cells.ofContext(removal.context);
    if (!emitter.isOpen(cell)) continue;
    const { context, container: live } = removal;
    freeHwpts(emitter, { context, live, kept: new Set(), cell });
    emitRemovedIoas(emitter, removal);
  }
  emitClosedContexts(emitter);
}

function untouchedOf(
  world: World,
  cells: Cells,
  steps: readonly Step[],
  blockedCells: ReadonlySet<string>,
): readonly string[] {
  const touched = new Set(steps.map((step) => step.container));
  return world.wanted
    .map(({ spec }) => spec.name)
    .filter((name) => !touched.has(name) && !blockedCells.has(cells.ofContainer(name)));
}

function cellListOf(world: World, cells: Cells): Plan['cells'] {
  const names = new Set([
    ...world.wanted.map(({ spec }) => spec.name),
    ...world.removals.map(({ container }) => container.name),
  ]);
  const byCell = new Map<string, string[]>();
  for (const name of [...names].sort(compareText)) {
    const cell = cells.ofContainer(name);
    byCell.set(cell, [...(byCell.get(cell) ?? []), name]);
  }
  return [...byCell].map(([cell, containers]) => ({ cell, containers }));
}
