/** `autodomain apply`: plan, ask, apply, verify. In a model with `--host`; here only with `--hold`. */
import { EXIT } from '../../base/errors.ts';
import { PARALLEL_DEFAULT } from '../../engine/apply.ts';
import { applyAttempt } from '../../engine/attempt.ts';
import type { ManagedHost } from '../../engine/host.ts';
import type { ApplyEvent } from '../../engine/outcome.ts';
import {
  exitCodeOfAttempt,
  formatCell,
  formatFailedStep,
  formatSummary,
} from '../../engine/report.ts';
import { describeAction } from '../../steps/index.ts';
import { isConfirmed } from '../consent.ts';
import { type LoadedConfig, loadConfig } from '../inputs.ts';
import type { Io } from '../io.ts';
import { type HostOptions, type OpenedHost, openHost } from '../machine.ts';
import {
  type ColourOption,
  colourOption,
  declareGuards,
  declareHost,
  declareSocket,
  declareTimeout,
  type GuardOptions,
  planOptionsOf,
  type SocketOption,
  type TimeoutOption,
} from '../options.ts';
import { planFor, planText } from '../planning.ts';
import { signalCode } from '../signal-code.ts';
import { defineVerb, usageError, wholeNumber } from '../verb.ts';

/** What `apply` was asked. */
export type ApplyOptions = HostOptions &
  SocketOption &
  TimeoutOption &
  GuardOptions &
  ColourOption & {
    readonly hold?: boolean;
    readonly hostOut?: string;
    readonly parallel: number;
    readonly plan?: string;
    readonly quiet?: boolean;
    readonly yes?: boolean;
  };

/** The verb `apply`. */
export const apply = defineVerb<ApplyOptions>({
  name: 'apply',
  summary: 'Makes a host what the config says, and verifies it.',
  examples: [
    ['autodomain apply config/ --host host.yaml', 'in a model of a host; nothing real is touched'],
    ['autodomain apply config/ --host a.yaml --host-out b.yaml', 'keeps the result as a Host file'],
    ['autodomain apply', 'here, by the daemon, from its own files: shows its plan and asks'],
    ['autodomain apply config/ --hold --yes', 'here, without a daemon; holds until SIGTERM'],
    ['autodomain apply config/ --host a.yaml --plan plan.json', 'exactly a plan that was saved'],
  ],
  declare(command) {
    declareTimeout(declareGuards(declareSocket(declareHost(command.argument('[path...]')))))
      .option('--hold', 'on this machine: keep everything open until SIGTERM, then let go in order')
      .option('--yes', 'do not ask')
      .option('--host-out <file>', 'write the model as it is afterwards')
      .option('--plan <file>', 'apply this saved plan, or nothing if it is stale')
      .option('--parallel <n>', 'steps in the kernel at once', wholeNumber(1), PARALLEL_DEFAULT)
      .option('-q, --quiet', 'only the last line')
      .addOption(colourOption());
  },
  async act(paths, options, io) {
    if (options.host === undefined && options.hostOut !== undefined) {
      throw usageError('--host-out needs --host');
    }
    if (options.host === undefined) {
      const { findDaemon } = await import('../daemon.ts');
      const daemon = await findDaemon(options, io);
      if (daemon !== null) {
        const { applyThere } = await import('../apply-there.ts');
        return applyThere(daemon, paths, options, io);
      }
    }
    checkUsage(options, io);
    const loaded = loadConfig(paths, io);
    const host = await openHost(options, io);
    if (host.document === null) {
      const { holdLocked } = await import('../hold.ts');
      return holdLocked('apply --hold', paths, io, () => applyHere(host, loaded, options, io));
    }
    const code = await attempt(host, loaded, options, io);
    if (options.hostOut !== undefined) {
      const { saveHost } = await import('../host-out.ts');
      saveHost(options.hostOut, host);
    }
    return code;
  },
});

/** What is refused before anything is opened. */
function checkUsage(options: ApplyOptions, io: Io): void {
  if (options.host !== undefined) {
    if (options.hold)
      throw usageError('--hold is for this machine; with --host there is nothing to hold');
    return;
  }
  if (!options.hold) {
    throw usageError(
      'without --hold everything would be let go again when the command ends',
      'start the daemon (`autodomain watch`), add --hold, or try it in a model with --host FILE',
    );
  }
  if (!options.yes && !io.isTerminal.stdin) {
    throw usageError('there is no terminal to ask on', 'add --yes');
  }
}

async function attempt(
  host: OpenedHost,
  loaded: LoadedConfig,
  options: ApplyOptions,
  io: Io,
): Promise<number> {
  const shown = planFor(host, loaded, planOptionsOf(options));
  if (options.plan !== undefined) {
    const { requireSamePlan } = await import('../saved-plan.ts');
    requireSamePlan(options.plan, shown.document);
  }
  if (!options.quiet) io.stderr(planText(shown, options.color, io));
  if (host.document === null && !(await isConfirmed(shown.plan.steps.length, options, io)))
    return EXIT.refused;
  const done = await applyAttempt(host, shown, loaded.config, {
    parallel: options.parallel,
    signal: io.signal,
    ...(options.quiet ? {} : { onEvent: (event) => report(event, io) }),
  });
  for (const cell of done.result.cells) {
    if (cell.result === 'applied' || cell.result === 'rolled-back') continue;
    io.stderr(`${cell.containers.join(', ')}: ${formatCell(cell)}\n`);
  }
  for (const { text } of done.drift) io.stderr(`not as planned: ${text}\n`);
  io.stderr(`${formatSummary(done.plan, done.result, done.drift)}\n`);
  if (done.result.cells.some((cell) => cell.result === 'interrupted')) return signalCode(io.signal);
  return exitCodeOfAttempt(done.plan, done.result, done.drift);
}

function report(event: ApplyEvent, io: Io): void {
  switch (event.kind) {
    case 'step-started':
      return;
    case 'step-ended': {
      const { outcome } = event;
      const line =
        outcome.status === 'done'
          ? `${describeAction(outcome.step)}${outcome.detail?.text ? ` (${outcome.detail.text})` : ''}`
          : `FAILED ${formatFailedStep(outcome)}`;
      io.stderr(`  ${outcome.step.id.padEnd(4)} ${line}  ${outcome.ms} ms\n`);
      return;
    }
    case 'undo-started':
      io.stderr(`  undo ${describeAction(event.action)}\n`);
  }
}

/** Applies here, holds what became ready until a signal, and lets go. Where nothing did, it lets go at once. */
async function applyHere(
  host: OpenedHost,
  loaded: LoadedConfig,
  options: ApplyOptions,
  io: Io,
): Promise<number> {
  const code = await attempt(host, loaded, options, io);
  if (isServing(host) && !io.signal.aborted) {
    io.stderr('holding; SIGTERM or SIGINT lets go\n');
    await untilAborted(io.signal);
  }
  if (host.journal.contexts().length === 0) return code;
  const { letGo } = await import('../hold.ts');
  const left = await letGo(host, options.parallel, io);
  return code === EXIT.done ? left : code;
}

/** True where a container lives: a failed cell may also leave a context with nothing but open devices. */
function isServing(host: ManagedHost): boolean {
  return host.journal.contexts().some((context) => context.containers.length > 0);
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    // A pending promise alone does not keep the process alive.
    const keep = setInterval(() => undefined, 1 << 30);
    const done = (): void => {
      clearInterval(keep);
      resolve();
    };
    if (signal.aborted) done();
    else signal.addEventListener('abort', done, { once: true });
  });
}
