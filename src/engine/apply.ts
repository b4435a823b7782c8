/**
 * Applies a plan: steps in parallel as far as their lanes and their `after` allow, one cell's failure
 * without effect on the others. It makes no decision that is not in the plan.
 */
import { present } from '../base/assert.ts';
import type { StuckCall } from '../graph/types.ts';
import type { Plan } from '../plan/types.ts';
import type { Action, Step } from '../steps/def.ts';
import { StuckError } from './calls.ts';
import type { ApplyEvent, ApplyResult, CellOutcome, FailedStep, StepOutcome } from './outcome.ts';
import { rollback } from './rollback.ts';
import type { RunContext } from './run/context.ts';
import { runAction } from './run/index.ts';

/** How a plan is applied. */
export interface ApplyOptions {
  /** Steps in the kernel at once, at most, stuck ones among them. At least 1. */
  readonly parallel: number;
  /** When it aborts, no further step begins; those under way are finished. */
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: ApplyEvent) => void;
}

/** Half of the thread pool that the launcher asks for: the other half stays free for files and timers. */
export const PARALLEL_DEFAULT = 16;

/** Applies every cell of the plan and reports on each step and each cell. Never throws for a refusal of the kernel. */
export async function applyPlan(
  plan: Plan,
  run: RunContext,
  options: ApplyOptions,
): Promise<ApplyResult> {
  return new Applying(plan, run, options).all();
}

interface Node {
  readonly step: Step;
  waitsFor: number;
  readonly unblocks: Node[];
}

interface CellState {
  readonly done: Extract<StepOutcome, { status: 'done' }>[];
  open: number;
  running: number;
  failed: FailedStep | null;
  /** Its calls that do not return. */
  readonly stuck: StuckCall[];
  /** It is taken back, or was. */
  isTakenBack: boolean;
  outcome: CellOutcome | null;
}

class Applying {
  readonly #plan: Plan;
  readonly #run: RunContext;
  readonly #options: ApplyOptions;
  readonly #cells = new Map<string, CellState>();
  readonly #lanes = new Map<string, Node[]>();
  readonly #busy = new Set<string>();
  /** Lanes with a call that does not return: they stay busy. */
  readonly #blocked = new Set<string>();
  readonly #outcomes: StepOutcome[] = [];
  #running = 0;
  #finish: () => void = () => undefined;
  #broken: unknown = null;

  constructor(plan: Plan, run: RunContext, options: ApplyOptions) {
    this.#plan = plan;
    this.#run = run;
    this.#options = options;
    for (const node of nodesOf(plan.steps)) {
      const cell = this.#cells.get(node.step.cell) ?? newCell();
      cell.open += 1;
      this.#cells.set(node.step.cell, cell);
      if (node.waitsFor === 0) this.#enqueue(node);
    }
  }

  async all(): Promise<ApplyResult> {
    if (this.#cells.size > 0) {
      await new Promise<void>((resolve) => {
        this.#finish = resolve;
        this.#pump();
      });
    }
    if (this.#broken !== null) throw this.#broken;
    const containersOf = new Map(
      this.#plan.cells.map(({ cell, containers }) => [cell, containers]),
    );
    const cells = [...this.#cells].map(([cell, state]) =>
      this.#outcomeOf(cell, state, containersOf.get(cell) ?? []),
    );
    return { outcomes: this.#outcomes, cells };
  }

  #outcomeOf(cell: string, state: CellState, containers: readonly string[]): CellOutcome {
    const place = { cell, containers };
    if (state.outcome) return { ...state.outcome, containers };
    if (state.open === 0) return { ...place, result: 'applied' };
    const { stuck, failed } = state;
    if (stuck.length === 0 && failed === null && this.#options.signal?.aborted) {
      return { ...place, result: 'interrupted', done: state.done.length };
    }
    const kept = state.done.map(({ step }) => step);
    const calls = stuck.length > 0 ? stuck : this.#inTheWay();
    return { ...place, result: 'stuck', calls, kept };
  }

  /** What holds up a cell without a stuck call of its own: those of other cells, and of earlier attempts. */
  #inTheWay(): readonly StuckCall[] {
    const here = [...this.#cells.values()].flatMap(({ stuck }) => stuck);
    return here.length > 0 ? here : (this.#run.calls?.list() ?? []);
  }

  #enqueue(node: Node): void {
    const lane = this.#lanes.get(node.step.lane);
    if (lane) lane.push(node);
    else this.#lanes.set(node.step.lane, [node]);
  }

  /** Starts whatever may start; ends the whole when nothing runs and nothing can. */
  #pump(): void {
    for (const [name, lane] of this.#lanes) {
      if (this.#options.signal?.aborted || this.#broken !== null) break;
      if (this.#running >= this.#room()) break;
      if (this.#busy.has(name)) continue;
      const node = this.#next(lane);
      if (lane.length === 0) this.#lanes.delete(name);
      if (node) this.#start(node);
    }
    if (this.#running === 0) this.#finish();
  }

  /** Places for steps in the kernel: stuck calls keep theirs, so that a pool full of them takes no more. */
  #room(): number {
    const { calls } = this.#run;
    const { parallel } = this.#options;
    return calls === null ? parallel : Math.min(parallel, calls.most) - calls.count;
  }

  /** The next step of a lane, without those whose cell goes no further. Whoever removes a device is not kept waiting for that. */
  #next(lane: Node[]): Node | undefined {
    for (let node = lane.shift(); node !== undefined; node = lane.shift()) {
      const { failed, stuck } = this.#cellOf(node.step);
      const goesOn = failed === null || node.step.isRemoval === true;
      if (goesOn && stuck.length === 0) return node;
    }
    return undefined;
  }

  #cellOf(step: Step): CellState {
    return present(this.#cells.get(step.cell), `cell ${step.cell}`);
  }

  #start(node: Node): void {
    const { step } = node;
    const cell = this.#cellOf(step);
    this.#running += 1;
    cell.running += 1;
    this.#busy.add(step.lane);
    this.#emit({ kind: 'step-started', step });
    this.#execute(step)
      .then((outcome) => this.#ended(node, cell, outcome))
      .catch((error: unknown) => {
        this.#broken ??= error;
      })
      .finally(() => {
        this.#running -= 1;
        this.#pump();
      });
  }

  async #execute(step: Step): Promise<StepOutcome> {
    const start = this.#run.clock.now();
    try {
      const detail = (await runAction(step, this.#run)) ?? null;
      return { status: 'done', step, ms: this.#run.clock.now() - start, detail };
    } catch (error) {
      return { status: 'failed', step, ms: this.#run.clock.now() - start, error };
    }
  }

  async #ended(node: Node, cell: CellState, outcome: StepOutcome): Promise<void> {
    const { step } = node;
    const late = stuckIn(outcome);
    if (late !== null) this.#blocked.add(step.lane);
    else if (!this.#blocked.has(step.lane)) this.#busy.delete(step.lane);
    this.#outcomes.push(outcome);
    cell.running -= 1;
    this.#emit({ kind: 'step-ended', outcome });
    if (outcome.status === 'done') {
      cell.open -= 1;
      cell.done.push(outcome);
      for (const next of node.unblocks) {
        next.waitsFor -= 1;
        if (next.waitsFor === 0) this.#enqueue(next);
      }
    } else if (late !== null) {
      cell.stuck.push(late);
    } else {
      cell.failed ??= outcome;
    }
    if (cell.failed === null || cell.running > 0 || cell.isTakenBack) return;
    if (this.#canTakeBack(cell)) {
      cell.isTakenBack = true;
      cell.outcome = await this.#rollBack(step.cell, cell, cell.failed);
    }
  }

  /** What would wait behind a stuck call is not begun. */
  #canTakeBack({ done, stuck }: CellState): boolean {
    return stuck.length === 0 && !done.some(({ step }) => this.#blocked.has(step.lane));
  }

  async #rollBack(name: string, cell: CellState, failed: FailedStep): Promise<CellOutcome> {
    const onUndo = (action: Action): void => {
      this.#emit({ kind: 'undo-started', cell: name, action });
    };
    const done = cell.done.filter(({ step }) => step.isRemoval !== true);
    const rolled = await rollback(done, this.#run, onUndo);
    const place = { cell: name, containers: [] };
    switch (rolled.result) {
      case 'clean':
        return { ...place, result: 'rolled-back', failed };
      case 'kept':
        return { ...place, result: 'stopped', failed, kept: rolled.kept };
      case 'failed':
        if (rolled.error instanceof StuckError) this.#block(cell);
        return { ...place, result: 'unknown', failed, undo: rolled.undo, error: rolled.error };
    }
  }

  /** An undo does not return: the lanes of its cell are not used any more. */
  #block({ done }: CellState): void {
    for (const { step } of done) {
      this.#busy.add(step.lane);
      this.#blocked.add(step.lane);
    }
  }

  #emit(event: ApplyEvent): void {
    this.#options.onEvent?.(event);
  }
}

function newCell(): CellState {
  return {
    done: [],
    open: 0,
    running: 0,
    failed: null,
    stuck: [],
    isTakenBack: false,
    outcome: null,
  };
}

function stuckIn(outcome: StepOutcome): StuckCall | null {
  const isStuck = outcome.status === 'failed' && outcome.error instanceof StuckError;
  return isStuck ? outcome.error.call : null;
}

function nodesOf(steps: readonly Step[]): readonly Node[] {
  const nodes = new Map<string, Node>();
  for (const step of steps) nodes.set(step.id, { step, waitsFor: step.after.length, unblocks: [] });
  for (const node of nodes.values()) {
    for (const id of node.step.after) present(nodes.get(id), `step ${id}`).unblocks.push(node);
  }
  return [...nodes.values()];
}
