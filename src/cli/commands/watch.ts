/** `autodomain watch`: follows a config until SIGTERM. */
import { EXIT } from '../../base/errors.ts';
import { DEFAULT_TIMING, type WatchEvent, watchLoop } from '../../daemon/loop.ts';
import { PARALLEL_DEFAULT } from '../../engine/apply.ts';
import { formatCell, formatSummary } from '../../engine/report.ts';
import { formatPlan, summaryOf } from '../../plan/format-text.ts';
import { readSource } from '../../source/files.ts';
import { watchPaths } from '../../source/hints.ts';
import { formatIssues } from '../../spec/format.ts';
import { describeAction } from '../../steps/index.ts';
import { render } from '../colour.ts';
import { holdLocked, letGo } from '../hold.ts';
import type { Io } from '../io.ts';
import { type HostOptions, openHost } from '../machine.ts';
import { declareHost } from '../options.ts';
import { systemClock } from '../system-clock.ts';
import { defineVerb, usageError, wholeNumber } from '../verb.ts';

type Options = HostOptions & {
  readonly settle: number;
  readonly removalGrace: number;
  readonly resync: number;
  readonly parallel: number;
};

/** The verb `watch`. */
export const watch = defineVerb<Options>({
  name: 'watch',
  summary:
    'Follows a config: applies every change, verifies it, and holds the host until SIGTERM; then lets go in order.',
  examples: [
    ['autodomain watch /etc/autodomain.d', 'one for each host'],
    ['autodomain watch config/ --host host.yaml', 'in a model of a host'],
  ],
  declare(command) {
    declareHost(command.argument('[path...]'))
      .option(
        '--settle <ms>',
        'files must stay the same this long before they are acted on',
        wholeNumber(0),
        DEFAULT_TIMING.settleMs,
      )
      .option(
        '--removal-grace <ms>',
        'what is gone from the files is removed after this long',
        wholeNumber(0),
        DEFAULT_TIMING.removalGraceMs,
      )
      .option(
        '--resync <ms>',
        'look at the files and the host this often, whatever the events say',
        wholeNumber(1),
        DEFAULT_TIMING.resyncMs,
      )
      .option('--parallel <n>', 'steps in the kernel at once', wholeNumber(1), PARALLEL_DEFAULT);
  },
  async act(paths, options, io) {
    if (paths.length === 0) throw usageError('give a PATH: a file or directory of the config');
    return options.host === undefined
      ? holdLocked(paths, io, () => follow(paths, options, io))
      : follow(paths, options, io);
  },
});

async function follow(paths: readonly string[], options: Options, io: Io): Promise<number> {
  const host = await openHost(options, io);
  const hints = watchPaths(paths, (message) => {
    io.stderr(`the watcher failed (${message}); changes are found every ${options.resync} ms\n`);
  });
  try {
    await watchLoop({
      host,
      // The loop's own time is real even where the host is a model.
      clock: systemClock(),
      timing: {
        settleMs: options.settle,
        removalGraceMs: options.removalGrace,
        resyncMs: options.resync,
      },
      parallel: options.parallel,
      signal: io.signal,
      read: () => readSource(paths),
      nap: (ms) => hints.nap(ms, io.signal),
      report: (event) => io.stderr(textOf(event)),
    });
  } finally {
    await hints.close();
  }
  if (host.journal.contexts().length === 0) return EXIT.done;
  return letGo(host, options.parallel, io);
}

function textOf(event: WatchEvent): string {
  switch (event.kind) {
    case 'config-invalid': {
      const keeps =
        event.keeps === null
          ? 'nothing is applied'
          : `the config ${short(event.keeps)} stays in force`;
      return `${formatIssues(event.issues)}\nthe config is not valid: ${keeps}\n`;
    }
    case 'config-loaded': {
      const commit = event.revision === null ? '' : `, commit ${event.revision.slice(0, 12)}`;
      return `config ${short(event.digest)}${commit}\n`;
    }
    case 'attempted': {
      const { plan, result, drift } = event.attempt;
      const lines = result.outcomes
        .filter((outcome) => outcome.status === 'done')
        .map(({ step, ms }) => `  ${describeAction(step)}  ${ms} ms`);
      const failed = result.cells.filter((cell) => cell.result !== 'applied').map(formatCell);
      const differs = drift.map(({ text }) => `not as planned: ${text}`);
      return `${[...lines, ...failed, ...differs, formatSummary(plan, result, drift)].join('\n')}\n`;
    }
    case 'blocked':
      return render(formatPlan(event.plan), false);
    case 'converged':
      return `${summaryOf(event.plan)}\n`;
  }
}

function short(digest: string): string {
  return digest.slice(0, 'sha256:'.length + 12);
}
