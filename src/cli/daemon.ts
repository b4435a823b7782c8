/** The daemon that a verb asks: where its socket is, whether it answers, and what a wait for it comes to. */
import { realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { AutodomainError, EXIT } from '../base/errors.ts';
import { DaemonClient, NoDaemonError } from '../daemon/client.ts';
import type {
  Condition,
  ConditionType,
  ContainerStatus,
  StatusDocument,
} from '../daemon/control.ts';
import { runDirectory } from '../daemon/run-directory.ts';
import { graphFromJson } from '../graph/format/read.ts';
import type { Graph } from '../graph/types.ts';
import type { Io } from './io.ts';
import type { SocketOption } from './options.ts';
import { signalCode } from './signal-code.ts';

/** A daemon that answered, with what it said of itself. */
export interface Daemon {
  readonly client: DaemonClient;
  readonly status: StatusDocument;
}

/**
 * The daemon of this host; null where there is none. A socket that was named and is not there is an
 * error, and so is one that does not answer: nobody goes on without a daemon that may hold the host.
 */
export async function findDaemon({ socket }: SocketOption, io: Io): Promise<Daemon | null> {
  const named = socket ?? io.env['AUTODOMAIN_SOCKET'];
  const path = named ?? join(runDirectory(io.env), 'control.sock');
  const client = new DaemonClient(path, { signal: io.signal });
  try {
    return { client, status: await client.status() };
  } catch (error) {
    if (error instanceof NoDaemonError && named === undefined) return null;
    throw error;
  }
}

/** The daemon of this host, for a verb that is nothing without one. Throws `io` (1) where none runs. */
export async function requireDaemon(options: SocketOption, io: Io): Promise<Daemon> {
  const found = await findDaemon(options, io);
  if (found !== null) return found;
  throw new NoDaemonError(join(runDirectory(io.env), 'control.sock'));
}

/** The live graph as the daemon last observed it. */
export async function graphFrom({ client }: Daemon): Promise<Graph> {
  const graph = graphFromJson(await client.graph());
  if (graph !== null) return graph;
  throw new AutodomainError('io', 'the daemon answered with something that is no graph', {
    remedy: 'use the version of autodomain that the daemon has',
  });
}

/** Runs what waits for a daemon; a signal ends it with the signal's code. */
export async function orSignal(io: Io, work: () => Promise<number>): Promise<number> {
  try {
    return await work();
  } catch (error) {
    if (io.signal.aborted) return signalCode(io.signal);
    throw error;
  }
}

/** Throws `refused` (6) unless the paths are the files that the daemon follows; none are always. */
export function requireSource(paths: readonly string[], { status }: Daemon): void {
  if (paths.length === 0) return;
  const [mine, theirs] = [paths.map(realPath), status.source.paths.map(realPath)];
  if (mine.length === theirs.length && mine.every((path) => theirs.includes(path))) return;
  throw new AutodomainError(
    'refused',
    `the daemon (pid ${status.daemon.pid}) follows ${status.source.paths.join(' ')}, not ${paths.join(' ')}`,
    { remedy: 'change the files there; `autodomain plan` takes any path' },
  );
}

/** What is not there names itself. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}

/** In one line, whether all is well: `node-7: ready, 3 of 3 containers ready`. */
export function summaryOf(status: StatusDocument): string {
  const { host, containers } = status;
  const ready = containers.filter(isReady).length;
  return `${host}: ${verdictOf(status)}, ${ready} of ${containers.length} containers ready`;
}

/** The words for the state of a whole daemon: `ready`, or why not. */
export function verdictOf({ daemon }: StatusDocument): string {
  const ready = conditionOf(daemon.conditions, 'Ready');
  if (ready?.status === 'True') return 'ready';
  return ready === undefined ? 'not ready' : `not ready (${ready.reason})`;
}

/** True where the container is as the config says. */
export function isReady({ conditions }: Pick<ContainerStatus, 'conditions'>): boolean {
  return conditionOf(conditions, 'Ready')?.status === 'True';
}

/** The condition of that type; undefined where nobody has said. */
export function conditionOf(
  conditions: readonly Condition[],
  type: ConditionType,
): Condition | undefined {
  return conditions.find((condition) => condition.type === type);
}

/** True where the condition holds for the config that is attempted, and not for one before it. */
export function holdsNow({ daemon, source }: StatusDocument, type: ConditionType): boolean {
  const condition = conditionOf(daemon.conditions, type);
  if (condition?.status !== 'True') return false;
  return condition.observedDigest === (source.attempted?.digest ?? null);
}

/** How a request is followed. */
export interface FollowOptions {
  readonly timeout: number;
  /** Only the last line. */
  readonly quiet?: boolean;
}

/**
 * Asks for an attempt and waits for what comes of it: 0 ready, 6 stalled. What happens meanwhile goes to
 * stderr, and at the end where the daemon stands, which is returned too. Throws `timed-out` (8).
 */
export async function followAttempt(
  { client }: Daemon,
  digest: string | null,
  { timeout, quiet }: FollowOptions,
  io: Io,
): Promise<{ readonly code: number; readonly status: StatusDocument }> {
  const over = new AbortController();
  // Heard from before the request on, so that nothing is missed. It is for the eye alone.
  const listen = (): Promise<void> =>
    client.events(({ text }) => io.stderr(`  ${text}\n`), over.signal).catch(() => undefined);
  try {
    if (!quiet) await listen();
    const id = await client.reconcile(digest);
    const outcome = await client.outcomeOf(id, timeout);
    if (outcome === 'pending') throw timedOut(timeout, `request ${id} is still pending`);
    if (outcome === 'unknown') {
      throw new AutodomainError('io', `the daemon no longer knows request ${id}`, {
        remedy: 'it was restarted: `autodomain status` says where it stands',
      });
    }
    const status = await client.status();
    over.abort();
    io.stderr(`${summaryOf(status)}\n`);
    return { code: outcome === 'ready' ? EXIT.done : EXIT.refused, status };
  } finally {
    over.abort();
  }
}

/** The end of a wait. Exit 8. */
export function timedOut(timeoutMs: number, what: string): AutodomainError {
  return new AutodomainError('timed-out', `${what} after ${timeoutMs / 1000} s`, {
    remedy: '`autodomain status` says what it waits for; ask again with a longer --timeout',
  });
}
