/**
 * Outcomes in words: what failed, on which object, what the kernel answered, the likely cause, and
 * what to do, in that order and on one line.
 */
import { assertNever } from '../base/assert.ts';
import { AutodomainError, EXIT, formatErrorChain } from '../base/errors.ts';
import { KernelError } from '../kernel/call.ts';
import { SyscallError } from '../kernel/port.ts';
import { countOf, formatAge, formatStuckCall, listOf } from '../plan/text.ts';
import type { Drift, Plan } from '../plan/types.ts';
import type { Step } from '../steps/def.ts';
import { describeAction } from '../steps/index.ts';
import type { LateReturn } from './calls.ts';
import type { ApplyResult, CellOutcome, StepOutcome } from './outcome.ts';

/** An error of a call: the kernel's answer, its likely cause, what to do. */
export function formatFailure(error: unknown): string {
  if (error instanceof KernelError) {
    const { why } = error;
    return why === null ? error.message : `${error.message}: ${why.cause}; ${why.remedy}`;
  }
  if (error instanceof SyscallError) {
    const why = OPEN_CAUSES[error.errno];
    return why === undefined ? error.message : `${error.message}: ${why}`;
  }
  const remedy = error instanceof AutodomainError ? error.remedy : null;
  return remedy === null ? formatErrorChain(error) : `${formatErrorChain(error)}; ${remedy}`;
}

const OPEN_CAUSES: Readonly<Record<string, string>> = {
  EACCES:
    'this user may not open it; run as root or with rights on /dev/iommu and /dev/vfio/devices',
  EPERM: 'this user may not do that; run as root',
  ENOENT: 'it is not there; `autodomain doctor` says what the kernel lacks',
  EBUSY: 'somebody else took it meanwhile; run again to observe anew',
  ENODEV: 'it is going away, or the driver does not match; run again to observe anew',
  EMFILE: 'too many open files; raise LimitNOFILE=',
};

/** A step that failed, as `attach 0000:3b:00.2 ...: ERRNO: cause; remedy`. */
export function formatFailedStep({
  step,
  error,
}: Extract<StepOutcome, { status: 'failed' }>): string {
  return `${describeAction(step)}: ${formatFailure(error)}`;
}

/** What became of a cell whose step failed, in words. */
export function formatCell(cell: CellOutcome): string {
  switch (cell.result) {
    case 'applied':
      return 'ready';
    case 'rolled-back':
      return `rolled back: ${formatFailedStep(cell.failed)}`;
    case 'stopped':
      return `${formatFailedStep(cell.failed)}; left as it is, because undoing would reset a device again: ${listOf(cell.kept.map(describeAction))}`;
    case 'unknown':
      return `${formatFailedStep(cell.failed)}; taking it back failed too (${describeAction(cell.undo)}: ${formatFailure(cell.error)}), so its state is not known`;
    case 'stuck':
      return `stuck: ${cell.calls.map(formatStuckCall).join('; ')}; nothing more of it begins until that returns${formatKept(cell.kept)}`;
    case 'interrupted':
      return `interrupted after ${countOf(cell.done, 'step')}`;
    default:
      return assertNever(cell);
  }
}

function formatKept(kept: readonly Step[]): string {
  return kept.length === 0
    ? ''
    : `, and ${countOf(kept.length, 'step')} before it stay as they are`;
}

/** What became of an action that was given up, once it is over. */
export function formatReturn({ call: { action, call, ageMs }, error }: LateReturn): string {
  const end = error === null ? 'done' : formatFailure(error);
  return `${action}: ${call} has returned after ${formatAge(ageMs)}: ${end}`;
}

/** The last line: how many containers are ready, and what happened to the others. */
export function formatSummary(plan: Plan, result: ApplyResult, drift: readonly Drift[]): string {
  const total = plan.cells.reduce((sum, { containers }) => sum + containers.length, 0);
  const blockedNames = new Set(plan.blocked.map((blocker) => blocker.container));
  const blockedCells = plan.cells.filter(({ containers }) =>
    containers.some((name) => blockedNames.has(name)),
  );
  const blocked = sumContainers(blockedCells);
  const bad = result.cells.filter((cell) => cell.result !== 'applied');
  const drifted = new Set(drift.map(({ cell }) => cell)).size;
  const failed = sumContainers(bad);
  const parts = [`${total - blocked - failed - drifted} ready`];
  if (blocked > 0) parts.push(`${blocked} blocked (${[...blockedNames].join(', ')})`);
  for (const cell of bad) {
    const names = cell.containers.join(', ');
    parts.push(`${cell.containers.length} ${LABELS[cell.result]} (${names}: ${shortCause(cell)})`);
  }
  if (drifted > 0) parts.push(`${drifted} not as planned (${drift[0]?.text ?? ''})`);
  return `${countOf(total, 'container')}: ${parts.join(', ')}`;
}

const LABELS: { readonly [R in CellOutcome['result']]: string } = {
  applied: 'ready',
  'rolled-back': 'rolled back',
  stopped: 'stopped',
  unknown: 'in an unknown state',
  stuck: 'stuck',
  interrupted: 'interrupted',
};

function shortCause(cell: CellOutcome): string {
  if (cell.result === 'applied' || cell.result === 'interrupted') return cell.result;
  if (cell.result === 'stuck') return cell.calls.map(formatStuckCall).join('; ');
  const { error, step } = cell.failed;
  const errno =
    error instanceof KernelError || error instanceof SyscallError ? error.errno : 'error';
  return `${describeAction(step)}: ${errno}`;
}

function sumContainers(cells: readonly { readonly containers: readonly string[] }[]): number {
  return cells.reduce((sum, { containers }) => sum + containers.length, 0);
}

/** The exit code of an attempt: the worst that happened, a failed cell before a refusal. */
export function exitCodeOfAttempt(
  plan: Plan,
  result: ApplyResult,
  drift: readonly Drift[],
): number {
  const worst = ['stopped', 'unknown', 'stuck'];
  if (result.cells.some((cell) => worst.includes(cell.result)) || drift.length > 0)
    return EXIT.notRolledBack;
  if (result.cells.some((cell) => cell.result === 'rolled-back')) return EXIT.rolledBack;
  return plan.blocked.length > 0 ? EXIT.refused : EXIT.done;
}
