/** A plan as text: what would be done to each container, why, and what it costs; then what is in the way. */
import type { Disruption, Step, StepKind } from '../steps/def.ts';
import { describeAction, disruptionOf } from '../steps/index.ts';
import { explainBlocker } from './blockers.ts';
import { countOf } from './text.ts';
import type { Plan } from './types.ts';

/** A run of text with what it is, for whoever colours it. */
export interface Span {
  readonly text: string;
  readonly tone: 'plain' | 'title' | 'add' | 'change' | 'remove' | 'warn' | 'dim';
}

/** A line of spans. */
export type SpanLine = readonly Span[];

/** What the text of a plan needs of it: a document of the plan has that as well as the plan itself. */
export interface PlanWords extends Pick<Plan, 'summary' | 'notes' | 'untouched' | 'cells'> {
  readonly steps: readonly StepWords[];
  readonly blocked: readonly BlockerWords[];
}

/** A step in words. */
export interface StepWords extends Pick<Step, 'id' | 'kind' | 'cell' | 'why'> {
  readonly text: string;
  readonly disruption: Disruption;
  /** An attach that replaces a running attachment. */
  readonly moves: boolean;
}

/** A blocker in words. */
export interface BlockerWords {
  readonly container: string;
  readonly kind: string;
  readonly text: string;
  readonly remedy: string;
}

/** The plan as lines of spans. */
export function formatPlan(plan: Plan): readonly SpanLine[] {
  return formatPlanWords({
    ...plan,
    steps: plan.steps.map((step) => ({
      ...step,
      text: describeAction(step),
      disruption: disruptionOf(step),
      moves: step.kind === 'attach-device' && step.args.replaces !== null,
    })),
    blocked: plan.blocked.map((blocker) => {
      const { kind, container } = blocker;
      return { kind, container, ...explainBlocker(blocker) };
    }),
  });
}

/** A plan that is known by its words alone, as lines of spans. */
export function formatPlanWords(plan: PlanWords): readonly SpanLine[] {
  const lines: Span[][] = [];
  const stepsOf = new Map<string, StepWords[]>();
  for (const step of plan.steps) {
    const list = stepsOf.get(step.cell);
    if (list) list.push(step);
    else stepsOf.set(step.cell, [step]);
  }
  for (const { cell, containers } of plan.cells) {
    const steps = stepsOf.get(cell) ?? [];
    const blocked = plan.blocked.filter((blocker) => containers.includes(blocker.container));
    if (steps.length === 0 && blocked.length === 0) continue;
    lines.push([{ text: titleOf(containers), tone: 'title' }]);
    lines.push(...blockedLines(blocked), ...stepLines(steps), []);
  }
  lines.push(
    ...plan.notes.map(({ container, text }) => [span(`note: ${container}: ${text}`, 'dim')]),
  );
  if (plan.notes.length > 0) lines.push([]);
  lines.push([span(summaryOf(plan), 'title')]);
  return lines;
}

function span(text: string, tone: Span['tone'] = 'plain'): Span {
  return { text, tone };
}

function titleOf(containers: readonly string[]): string {
  return containers.length === 1
    ? (containers[0] ?? '')
    : `${containers.join(', ')}  (one cell: they succeed or fail together)`;
}

const MARKS: { readonly [K in StepKind]: readonly [string, Span['tone']] } = {
  'open-context': ['+', 'add'],
  'bind-driver': ['+', 'add'],
  'open-device': ['+', 'add'],
  'alloc-ioas': ['+', 'add'],
  'alloc-hwpt': ['+', 'add'],
  'attach-device': ['+', 'add'],
  'rename-container': ['~', 'change'],
  'set-huge-pages': ['~', 'change'],
  'allow-iovas': ['~', 'change'],
  'set-dirty-tracking': ['~', 'change'],
  'release-driver': ['-', 'remove'],
  'detach-device': ['-', 'remove'],
  'destroy-hwpt': ['-', 'remove'],
  'destroy-ioas': ['-', 'remove'],
  'close-device': ['-', 'remove'],
  'close-context': ['-', 'remove'],
};

const WIDTH_MAX = 100;

function stepLines(steps: readonly StepWords[]): readonly Span[][] {
  const width = Math.min(WIDTH_MAX, Math.max(0, ...steps.map(({ text }) => text.length)));
  return steps.map(({ id, kind, text, why, disruption, moves }) => {
    const [mark, tone] = moves ? (['~', 'change'] as const) : MARKS[kind];
    const cost = disruption === 'none' ? '' : `[${disruption}]`;
    return [
      span(`  ${id.padEnd(4)}`, 'dim'),
      span(`${mark} `, tone),
      span(text.padEnd(width)),
      span(`  ${cost.padEnd(8)}`, cost === '' ? 'plain' : 'warn'),
      span(`  ${why}`, 'dim'),
    ];
  });
}

function blockedLines(blocked: readonly BlockerWords[]): readonly Span[][] {
  return blocked.flatMap(({ kind, text, remedy }) => [
    [span('  ! ', 'remove'), span(`${kind}: ${text}`)],
    [span(`      = ${remedy}`, 'dim')],
  ]);
}

/** The last line: what the plan comes to. */
export function summaryOf(plan: Pick<Plan, 'summary' | 'untouched'>): string {
  const { summary, untouched } = plan;
  const rest = untouched.length > 0 ? `; ${countOf(untouched.length, 'container')} untouched` : '';
  const blocked = summary.blocked > 0 ? `; ${countOf(summary.blocked, 'blocker')}: see above` : '';
  if (summary.steps === 0) {
    return summary.blocked > 0 ? `Nothing can be done${blocked}${rest}` : `Nothing to do${rest}`;
  }
  const parts = [
    countOf(summary.steps, 'step'),
    countOf(summary.resets, 'reset'),
    countOf(summary.replaces, 'replace'),
    countOf(summary.outages, 'outage'),
    countOf(summary.kernelCalls, 'kernel call'),
  ];
  return `Plan: ${parts.join(', ')}${rest}${blocked}`;
}
