/** `autodomain watch`: follows a config until SIGTERM. */
import { resolve } from 'node:path';
import { Option } from 'commander';
import type { Clock } from '../../base/clock.ts';
import { EXIT } from '../../base/errors.ts';
import { Daemon, type DaemonDependencies } from '../../daemon/daemon.ts';
import { DEFAULT_TIMING, type DriftPolicy } from '../../daemon/loop.ts';
import { formatEvent } from '../../daemon/said.ts';
import { Wakeup } from '../../daemon/wakeup.ts';
import { Wishes } from '../../daemon/wishes.ts';
import { PARALLEL_DEFAULT } from '../../engine/apply.ts';
import type { StuckCalls } from '../../engine/calls.ts';
import { formatReturn } from '../../engine/report.ts';
import { readSource } from '../../source/files.ts';
import { type Hints, watchPaths } from '../../source/hints.ts';
import { holdLocked, letGo } from '../hold.ts';
import { NO_HOT_PLUG, openHotPlug } from '../hot-plug.ts';
import type { Io } from '../io.ts';
import { type HostOptions, openHost } from '../machine.ts';
import { declareHost } from '../options.ts';
import { openService } from '../service.ts';
import { systemClock } from '../system-clock.ts';
import { defineVerb, usageError, wholeNumber } from '../verb.ts';
import { VERSION } from '../version.ts';

type Options = HostOptions & {
  readonly settle: number;
  readonly removalGrace: number;
  readonly resync: number;
  readonly parallel: number;
  readonly drift: DriftPolicy;
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
      .addOption(
        new Option('--drift <policy>', 'what is done about a host that leaves what was applied')
          .choices(['correct', 'report'])
          .default('correct'),
      )
      .option('--parallel <n>', 'steps in the kernel at once', wholeNumber(1), PARALLEL_DEFAULT);
  },
  async act(paths, options, io) {
    if (paths.length === 0) throw usageError('give a PATH: a file or directory of the config');
    return options.host === undefined
      ? holdLocked('watch', paths, io, () => follow(paths, options, io))
      : follow(paths, options, io);
  },
});

async function follow(paths: readonly string[], options: Options, io: Io): Promise<number> {
  const opened = await openHost(options, io);
  const service = await openService(opened, io);
  const { host } = service;
  // The loop's own time is real even where the host is a model.
  const clock = systemClock();
  const wakeup = new Wakeup(clock);
  let degraded: string | null = null;
  const hints = watchPaths(paths, (message) => {
    degraded = `the watcher failed (${message}); changes are found every ${options.resync} ms`;
    io.stderr(`${degraded}\n`);
  });
  void forward(hints, wakeup, io.signal);
  const hotPlug =
    opened.document === null
      ? await openHotPlug(host.syscalls, wakeup, (message) => {
          degraded = `${message}; devices are looked at every ${options.resync} ms`;
          io.stderr(`${degraded}\n`);
        })
      : NO_HOT_PLUG;
  const daemon = new Daemon({
    host,
    clock,
    wallMs: () => Date.now(),
    random: () => Math.random(),
    wakeup,
    wishes: new Wishes(),
    timing: {
      settleMs: options.settle,
      removalGraceMs: options.removalGrace,
      resyncMs: options.resync,
    },
    parallel: options.parallel,
    drift: options.drift,
    signal: io.signal,
    paths: paths.map((path) => resolve(path)),
    pid: io.pid,
    version: VERSION,
    watchDegraded: () => degraded,
    stuck: () => stuckSince(opened.calls, clock),
    read: () => readSource(paths),
    report(event) {
      if (event.kind === 'attempted') hotPlug.follow(host.journal.contexts());
      io.stderr(`${formatEvent(event)}\n`);
    },
  });
  const deafen = opened.calls.onReturn((late) => {
    io.stderr(`${formatReturn(late)}\n`);
    // It has left its lane and its place in the pool to whoever waits for them.
    wakeup.wake({ kind: 'devices', keys: null });
  });
  try {
    // What an earlier process has left is held from the start.
    hotPlug.follow(host.journal.contexts());
    await service.ready(() => daemon.isHealthy());
    await daemon.run();
  } finally {
    deafen();
    await hints.close();
    await hotPlug.close();
    await service.stopping();
  }
  if (service.outlives || host.journal.contexts().length === 0) return EXIT.done;
  return letGo(host, options.parallel, io);
}

/** Calls that do not return, in the time of the daemon. */
function stuckSince(calls: StuckCalls, clock: Clock): ReturnType<DaemonDependencies['stuck']> {
  return calls.list().map(({ action, call, ageMs }) => ({
    what: `${action}: ${call}`,
    sinceMs: clock.now() - ageMs,
  }));
}

/** File events end the nap of the loop like everything else. */
async function forward(hints: Hints, wakeup: Wakeup, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await hints.nap(NAP_MS, signal);
    wakeup.wake({ kind: 'files' });
  }
}

const NAP_MS = 1 << 30;
