/** What a daemon shows of itself: its socket, its metrics and its log. Not here: what it does. */
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import type { DaemonControl, EventKind } from '../daemon/control.ts';
import {
  isJournal,
  LOG_FORMATS,
  LOG_LEVELS,
  type Log,
  type LogFormat,
  type LogLevel,
  logEvent,
  logEvents,
  openLog,
} from '../daemon/log.ts';
import type { WatchEvent } from '../daemon/loop.ts';
import { runDirectory } from '../daemon/run-directory.ts';
import { formatEvent, outcomeIn } from '../daemon/said.ts';
import { CallCounts } from '../kernel/count.ts';
import type { Io } from './io.ts';
import { declareSocket, type SocketOption } from './options.ts';

/** How a daemon shows itself. */
export interface ServeOptions extends SocketOption {
  readonly socketGroup?: string;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
}

/** Declares them. */
export function declareServe(command: Command): Command {
  return declareSocket(command, 'answer at this socket')
    .addOption(
      new Option('--socket-group <name>', 'who may look beside root').env(
        'AUTODOMAIN_SOCKET_GROUP',
      ),
    )
    .addOption(
      new Option('--log-level <level>', 'what is said: this and worse')
        .choices(LOG_LEVELS)
        .default('info')
        .env('AUTODOMAIN_LOG_LEVEL'),
    )
    .addOption(
      new Option('--log-format <format>', 'auto: as the journal wants it where stderr is one')
        .choices(LOG_FORMATS)
        .default('auto')
        .env('AUTODOMAIN_LOG_FORMAT'),
    );
}

/** What a daemon is seen by. Made before the daemon, so that no event and no call is missed. */
export interface Face {
  /** Counts of the kernel calls that go through `counted`. */
  readonly calls: CallCounts;
  /** Logs an event of the loop in all its words. */
  report(event: WatchEvent): void;
  /** Logs the rest, and opens the socket: with the lock of the host always, for a model only where one is named. Returns how to end both. */
  serve(control: DaemonControl, lockHeld: boolean): Promise<() => Promise<void>>;
}

/** Makes one. The log goes to stderr. */
export function faceOf(options: ServeOptions, io: Io): Face {
  const calls = new CallCounts();
  const log = openLog({
    level: options.logLevel,
    format: options.logFormat,
    journal: isJournal(io.env, STDERR),
    write: (text) => io.stderr(text),
  });
  return {
    calls,
    report(event) {
      const attempt = 'id' in event ? event.id : null;
      logEvent(log, { kind: event.kind, attempt, ...outcomeIn(event) }, formatEvent(event));
    },
    async serve(control, lockHeld) {
      const unsubscribe = logEvents(log, control, REPORTED);
      const close = await open(control, { options, io, log, calls, lockHeld });
      return async () => {
        unsubscribe();
        await close();
      };
    },
  };
}

const STDERR = 2;

/** Kinds that `report` hears in more words than the event has. */
const REPORTED: ReadonlySet<EventKind> = new Set<WatchEvent['kind']>([
  'config-loaded',
  'config-invalid',
  'attempt-started',
  'attempted',
  'blocked',
  'converged',
]);

interface Surroundings {
  readonly options: ServeOptions;
  readonly io: Io;
  readonly log: Log;
  readonly calls: CallCounts;
  readonly lockHeld: boolean;
}

async function open(
  control: DaemonControl,
  { options, io, log, calls, lockHeld }: Surroundings,
): Promise<() => Promise<void>> {
  const named = options.socket ?? io.env['AUTODOMAIN_SOCKET'];
  if (named === undefined && !lockHeld) return async () => undefined;
  const [{ DaemonMetrics }, { serveSocket }, { gidOfGroup }, { peerOf }] = await Promise.all([
    import('../daemon/metrics.ts'),
    import('../daemon/socket/server.ts'),
    import('../daemon/socket/listen.ts'),
    import('../kernel/native/peer.ts'),
  ]);
  const { socketGroup } = options;
  const metrics = new DaemonMetrics({ control, calls });
  const socket = await serveSocket({
    control,
    place: {
      path: named ?? join(runDirectory(io.env), 'control.sock'),
      gid: socketGroup === undefined ? null : gidOfGroup(socketGroup),
      lockHeld,
    },
    metrics: () => metrics.text(),
    peerOf,
    log,
  });
  return async () => {
    metrics.close();
    await socket.close();
  };
}
