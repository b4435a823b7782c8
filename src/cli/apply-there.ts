/**
 * `apply` where a daemon runs: the daemon applies, from its own files. What is shown here is its plan,
 * and what is agreed to is the config of that plan and no later one.
 */
import { AutodomainError, EXIT } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import { formatPlanWords } from '../plan/format-text.ts';
import { planWordsOf } from '../plan/read-json.ts';
import type { ApplyOptions } from './commands/apply.ts';
import { isConfirmed } from './consent.ts';
import { type Daemon, followAttempt, graphFrom, orSignal, requireSource } from './daemon.ts';
import { loadConfig } from './inputs.ts';
import type { Io } from './io.ts';
import { planOptionsOf } from './options.ts';
import { planLinesText, planOn } from './planning.ts';
import { formatRevision } from './status-text.ts';
import { usageError } from './verb.ts';

/** Shows the daemon's plan, asks, and has it applied. */
export async function applyThere(
  daemon: Daemon,
  paths: readonly string[],
  options: ApplyOptions,
  io: Io,
): Promise<number> {
  checkUsage(daemon, options, io);
  requireSource(paths, daemon);
  return orSignal(io, async () => {
    const document = await planOf(daemon, options, io);
    if (options.plan !== undefined) {
      const { requireSamePlan } = await import('./saved-plan.ts');
      requireSamePlan(options.plan, document);
    }
    const steps = show(daemon, document, options, io);
    if (!(await isConfirmed(steps, options, io))) return EXIT.refused;
    return applyDigest(daemon, digestOf(document), options, io);
  });
}

function checkUsage({ status }: Daemon, options: ApplyOptions, io: Io): void {
  const { pid } = status.daemon;
  if (options.hold) {
    throw new AutodomainError('locked', `the daemon (pid ${pid}) holds this host`, {
      remedy: 'leave out --hold, and the daemon applies',
    });
  }
  if (options.hostName !== undefined) throw usageError('--host-name is for the daemon to say');
  if (options.trace) throw usageError('the daemon makes the calls, so --trace shows none here');
  if (!options.yes && !io.isTerminal.stdin) {
    throw usageError('there is no terminal to ask on', 'add --yes');
  }
}

type Document = { readonly [key: string]: Json };

/** The daemon's own plan; with a guard lifted, what that makes of it. */
async function planOf(daemon: Daemon, options: ApplyOptions, io: Io): Promise<Document> {
  if (options.allowRemovals === undefined && options.confirm === undefined) {
    return (await daemon.client.plan()) as Document;
  }
  const loaded = loadConfig(daemon.status.source.paths, io);
  return planOn(await graphFrom(daemon), loaded, planOptionsOf(options)).document;
}

function digestOf(document: Document): string {
  const { digest } = document['config'] as { readonly digest: string };
  return digest;
}

/** Shows the plan; returns how many steps it has. */
function show(daemon: Daemon, document: Document, options: ApplyOptions, io: Io): number {
  const words = planWordsOf(document);
  if (words === null) {
    throw new AutodomainError('io', 'the daemon answered with something that is no plan', {
      remedy: 'use the version of autodomain that the daemon has',
    });
  }
  if (!options.quiet) {
    const { host, daemon: process } = daemon.status;
    const title = `Host ${host}, by its daemon (pid ${process.pid})`;
    io.stderr(planLinesText(title, formatPlanWords(words), options.color, io));
  }
  return words.steps.length;
}

/** Has the config applied that was shown, and says what came of it. */
async function applyDigest(
  daemon: Daemon,
  digest: string,
  options: ApplyOptions,
  io: Io,
): Promise<number> {
  const { client } = daemon;
  const { allowRemovals: removals = null, confirm: containers = [] } = options;
  if (removals !== null || containers.length > 0) {
    await client.confirm({ digest, containers, removals });
  }
  const { code, status } = await followAttempt(daemon, digest, options, io);
  const { attempted } = status.source;
  if (attempted?.digest === digest) return code;
  const now = attempted === null ? 'none' : formatRevision(attempted.digest, attempted.revision);
  throw new AutodomainError('stale-plan', `the config changed meanwhile: it is ${now} now`, {
    remedy: '`autodomain status` says what came of it',
  });
}
