/** `autodomain watch`: follows a config until SIGTERM. */
import { resolve } from 'node:path';
import { Option } from 'commander';
import type { Clock } from '../../base/clock.ts';
import { EXIT } from '../../base/errors.ts';
import { Daemon, type DaemonDependencies } from '../../daemon/daemon.ts';
import { DEFAULT_TIMING, type DriftPolicy, type WatchTiming } from '../../daemon/loop.ts';
import { Wakeup } from '../../daemon/wakeup.ts';
import { Wishes } from '../../daemon/wishes.ts';
import { PARALLEL_DEFAULT } from '../../engine/apply.ts';
import type { StuckCalls } from '../../engine/calls.ts';
import { openedIn } from '../../engine/outcome.ts';
import { formatReturn } from '../../engine/report.ts';
import { counted } from '../../kernel/count.ts';
import { type FollowOptions, followSource } from '../../source/follow.ts';
import { type HandOverDesk, openHandOver } from '../hand-over.ts';
import { handOverSocket } from '../hand-over-socket.ts';
import { holdLocked, letGo } from '../hold.ts';
import { NO_HOT_PLUG, openHotPlug } from '../hot-plug.ts';
import type { Io } from '../io.ts';
import { type HostOptions, openHost } from '../machine.ts';
import { declareHost } from '../options.ts';
import { declareServe, faceOf, type ServeOptions } from '../serve.ts';
import { openService, type Wellness } from '../service.ts';
import { declareSettings, type SettingsOption, settingsOf } from '../settings.ts';
import { systemClock } from '../system-clock.ts';
import { defineVerb, usageError, wholeNumber } from '../verb.ts';
import { VERSION } from '../version.ts';

type Options = HostOptions &
  ServeOptions &
  SettingsOption & {
    readonly settle: number;
    readonly removalGrace: number;
    readonly resync: number;
    readonly parallel: number;
    readonly drift: DriftPolicy;
    readonly watch: FollowOptions['watch'];
    readonly readyFile?: string;
    readonly handOverSocket?: string;
  };

/** The verb `watch`. */
export const watch = defineVerb<Options>({
  name: 'watch',
  summary:
    'Follows a config: applies every change, verifies it, and holds the host until SIGTERM; then lets go in order.',
  examples: [
    ['autodomain watch /etc/autodomain.d', 'one for each host'],
    ['autodomain watch --settings /etc/autodomain/autodomain.yaml', 'as the service does'],
    ['autodomain watch config/ --host host.yaml', 'in a model of a host'],
  ],
  declare(command) {
    declareSettings(declareServe(declareHost(command.argument('[path...]'))))
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
      .addOption(
        new Option('--watch <how>', 'events, poll, or auto: poll where not every change is heard')
          .choices(['auto', 'events', 'poll'])
          .default('auto'),
      )
      .option('--ready-file <name>', 'files count only while their directory has this file')
      .option('--hand-over-socket <path>', 'hand containers to consumers at this socket')
      .option('--parallel <n>', 'steps in the kernel at once', wholeNumber(1), PARALLEL_DEFAULT);
  },
  fallback: settingsOf,
  async act(paths, options, io) {
    if (paths.length === 0) {
      throw usageError(
        'give a PATH, or `paths` in the settings: a file or directory of the config',
      );
    }
    return options.host === undefined
      ? holdLocked('watch', paths, io, () => follow(paths, options, io))
      : follow(paths, options, io);
  },
});

async function follow(paths: readonly string[], options: Options, io: Io): Promise<number> {
  const face = faceOf(options, io);
  const opened = await openHost(options, io);
  const syscalls = counted(opened.syscalls, face.calls);
  const service = await openService({ ...opened, syscalls }, io);
  const { host } = service;
  // The loop's own time is real even where the host is a model.
  const clock = systemClock();
  const wakeup = new Wakeup(clock);
  const source = followSource(paths, {
    clock,
    random: () => Math.random(),
    watch: options.watch,
    resyncMs: options.resync,
    // A config for this machine must come from those who may change this machine.
    requirePrivate: options.host === undefined,
    ...(options.readyFile === undefined ? {} : { readyFile: options.readyFile }),
    onHint: () => wakeup.wake({ kind: 'files' }),
    onEvent: (event) => {
      if (event.kind !== 'found-by-resync') io.stderr(`${event.text}\n`);
      daemon.heardOfSource(event);
    },
  });
  let devicesUnheard: string | null = null;
  let desk: HandOverDesk | null = null;
  const hotPlug =
    opened.document === null
      ? await openHotPlug(host.syscalls, wakeup, {
          onTrouble(message) {
            devicesUnheard = `${message}; devices are looked at every ${options.resync} ms`;
            io.stderr(`${devicesUnheard}\n`);
          },
          onConsumerRequest: (device) => desk?.askFor(device),
        })
      : NO_HOT_PLUG;
  const daemon = new Daemon({
    host,
    clock,
    wallMs: () => Date.now(),
    random: () => Math.random(),
    wakeup,
    wishes: new Wishes(),
    timing: timingOf(options),
    parallel: options.parallel,
    drift: options.drift,
    signal: io.signal,
    paths: paths.map((path) => resolve(path)),
    pid: io.pid,
    version: VERSION,
    watchDegraded: () => source.health().degraded ?? devicesUnheard,
    stuck: () => stuckSince(opened.calls, clock),
    read: () => source.read(),
    report(event) {
      if (event.kind === 'attempted') {
        hotPlug.follow(host.journal.contexts(), openedIn(event.attempt.result));
      }
      face.report(event);
    },
  });
  const deafen = opened.calls.onReturn((late) => {
    io.stderr(`${formatReturn(late)}\n`);
    // It has left its lane and its place in the pool to whoever waits for them.
    wakeup.wake({ kind: 'devices', keys: null });
  });
  try {
    // What an earlier process has left is held from the start.
    hotPlug.follow(host.journal.contexts(), new Set());
    if (opened.document === null) {
      const path = options.handOverSocket ?? handOverSocket(io.env);
      desk = await openHandOver(path, { host, daemon, hotPlug });
    }
    const hide = await face.serve(daemon, opened.document === null);
    try {
      await service.ready(() => wellnessOf(daemon));
      await daemon.run();
    } finally {
      await hide();
    }
  } finally {
    deafen();
    await desk?.close();
    await source.close();
    await hotPlug.close();
    await service.stopping();
  }
  if (service.outlives || host.journal.contexts().length === 0) return EXIT.done;
  return letGo(host, options.parallel, io);
}

function timingOf({ settle, removalGrace, resync }: Options): WatchTiming {
  return { settleMs: settle, removalGraceMs: removalGrace, resyncMs: resync };
}

function wellnessOf(daemon: Daemon): Wellness {
  if (!daemon.isHealthy()) return 'unwell';
  return daemon.isApplying() ? 'busy' : 'idle';
}

/** Calls that do not return, in the time of the daemon. */
function stuckSince(calls: StuckCalls, clock: Clock): ReturnType<DaemonDependencies['stuck']> {
  return calls.list().map(({ action, call, ageMs }) => ({
    what: `${action}: ${call}`,
    sinceMs: clock.now() - ageMs,
  }));
}
