/** Holding a host from the command line: one process at a time, and an orderly end. */
import { EXIT } from '../base/errors.ts';
import { takeLock } from '../daemon/lock.ts';
import { openRunDirectory, runDirectory } from '../daemon/run-directory.ts';
import { applyPlan } from '../engine/apply.ts';
import { type ManagedHost, observeHost, runContextOf } from '../engine/host.ts';
import { formatFailedStep } from '../engine/report.ts';
import { planHost } from '../plan/planner.ts';
import { countOf } from '../plan/text.ts';
import { describeAction } from '../steps/index.ts';
import type { Io } from './io.ts';

/** Runs `work` while this process has the lock of the host. Throws `locked` (75) where another has it. */
export async function holdLocked(
  verb: string,
  paths: readonly string[],
  io: Io,
  work: () => Promise<number>,
): Promise<number> {
  const { unixCalls } = await import('../kernel/native/unix.ts');
  const directory = runDirectory(io.env);
  openRunDirectory(directory, process.getuid?.() ?? 0);
  const release = takeLock(directory, { pid: io.pid, verb, paths }, unixCalls);
  try {
    return await work();
  } finally {
    release();
  }
}

/**
 * Detaches, frees and closes everything, in order. The config's guards are for the config: letting
 * go of what this process alone holds is what its end would do anyway, only without order.
 */
export async function letGo(host: ManagedHost, parallel: number, io: Io): Promise<number> {
  const { graph } = observeHost(host);
  const contexts = [...graph.contexts.values()];
  const plan = planHost({ containers: [] }, withoutPolicies(graph), {
    removals: 'now',
    removalsAllowed: Number.MAX_SAFE_INTEGER,
    confirmed: contexts.flatMap((context) => [...context.containers.keys()]),
  });
  io.stderr(`letting go: ${countOf(plan.steps.length, 'step')}\n`);
  const result = await applyPlan(plan, runContextOf(host), {
    parallel,
    onEvent(event) {
      if (event.kind !== 'step-ended') return;
      const { outcome } = event;
      const text =
        outcome.status === 'done' ? describeAction(outcome.step) : formatFailedStep(outcome);
      io.stderr(`  ${outcome.step.id.padEnd(4)} ${text}  ${outcome.ms} ms\n`);
    },
  });
  const left = host.journal.contexts();
  const failed = result.cells.some((cell) => cell.result !== 'applied');
  io.stderr(
    left.length === 0
      ? 'let go: nothing is left\n'
      : `let go: ${countOf(left.length, 'context')} left, which the kernel frees when this process ends\n`,
  );
  return failed || left.length > 0 ? EXIT.notRolledBack : EXIT.done;
}

function withoutPolicies(graph: Parameters<typeof planHost>[1]): Parameters<typeof planHost>[1] {
  const contexts = [...graph.contexts].map(([name, context]) => {
    const containers = [...context.containers].map(
      ([each, container]) => [each, { ...container, deletion: 'allow' as const }] as const,
    );
    return [name, { ...context, containers: new Map(containers) }] as const;
  });
  return { ...graph, contexts: new Map(contexts) };
}
