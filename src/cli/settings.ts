/** `--settings`: the daemon's settings file in the words of the options of `watch`. */
import type { Command } from 'commander';
import { AutodomainError } from '../base/errors.ts';
import { readSettings } from '../daemon/settings.ts';
import { formatIssues } from '../spec/format.ts';
import type { Io } from './io.ts';
import type { Fallback } from './verb.ts';

/** `--settings`. */
export interface SettingsOption {
  readonly settings?: string;
  readonly host?: string;
}

/** Declares it. */
export function declareSettings(command: Command): Command {
  return command.option(
    '--settings <file>',
    'what stands where neither options nor AUTODOMAIN_* say anything',
  );
}

/** What the file says. Throws `daemon-config` (78) after printing every problem with its place. */
export async function settingsOf(
  { settings: path, host }: SettingsOption,
  io: Io,
): Promise<Fallback> {
  if (path === undefined) return { paths: [], options: {} };
  const { settings, issues } = readSettings(path, { requirePrivate: host === undefined });
  if (settings === null) {
    io.stderr(`${formatIssues(issues)}\n`);
    throw new AutodomainError('daemon-config', `${path} is not valid, so nothing was done`, {
      remedy: 'correct the file; `autodomain schema settings.v1alpha1` prints its schema',
    });
  }
  const { paths = [], hostName, socket, timing, drift, watch, readyFile, parallel, log } = settings;
  return {
    paths,
    options: {
      hostName,
      // The only option whose variable is not known to the parser: verbs that ask tell the two apart.
      socket: io.env['AUTODOMAIN_SOCKET'] ?? socket?.path,
      socketGroup: socket?.group,
      settle: timing?.settleMs,
      removalGrace: timing?.removalGraceMs,
      resync: timing?.resyncMs,
      drift,
      watch,
      readyFile,
      parallel,
      logLevel: log?.level,
      logFormat: log?.format,
    },
  };
}
