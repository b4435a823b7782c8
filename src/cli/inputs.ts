/** What the verbs read before they do anything: configs and Host files, with every problem on stderr. */
import { readFileSync, statSync } from 'node:fs';
import { AutodomainError } from '../base/errors.ts';
import { readSource, type Source } from '../source/files.ts';
import type { Config } from '../spec/config.ts';
import { formatIssues } from '../spec/format.ts';
import type { IssueList } from '../spec/issues.ts';
import { readConfig } from '../spec/read-config.ts';
import { HOST_BYTES_MAX } from '../spec/text.ts';
import type { HostDocument } from '../spec/types.generated.ts';
import type { Io } from './io.ts';
import { usageError } from './verb.ts';

/** A config with what names it. */
export interface LoadedConfig {
  readonly config: Config;
  readonly source: Source;
}

/** Reads a config or throws `config-invalid` after printing every problem. */
export function loadConfig(paths: readonly string[], io: Io): LoadedConfig {
  if (paths.length === 0) throw usageError('give a PATH: a file or directory of the config');
  const source = readSource(paths);
  const { config, issues } = readConfig(source.files, source.issues);
  if (config === null) throw invalid('the config is not valid, so nothing was done', issues, io);
  return { config, source };
}

/** Reads a Host file or throws `config-invalid` after printing every problem. */
export async function loadHost(path: string, io: Io): Promise<HostDocument> {
  const { readHost } = await import('../spec/read-host.ts');
  const { host, issues } = readHost({ path, bytes: readHostBytes(path) });
  if (host === null) throw invalid('the Host file is not valid, so nothing was done', issues, io);
  return host;
}

function readHostBytes(path: string): Uint8Array {
  try {
    const stat = statSync(path);
    if (!stat.isFile()) {
      throw new AutodomainError('config-invalid', `${path}:1:1: it is not a regular file`, {
        remedy: 'give a file with one Host document',
      });
    }
    if (stat.size > HOST_BYTES_MAX) {
      throw new AutodomainError('config-invalid', `${path}:1:1: it is larger than 64 MiB`, {
        remedy: 'give a file with one Host document',
      });
    }
    return readFileSync(path);
  } catch (error) {
    if (error instanceof AutodomainError) throw error;
    const code = (error as NodeJS.ErrnoException).code ?? 'EIO';
    throw new AutodomainError('config-invalid', `${path}:1:1: it cannot be read: ${code}`, {
      remedy: 'correct the path or its permissions',
    });
  }
}

function invalid(message: string, issues: IssueList, io: Io): AutodomainError {
  io.stderr(`${formatIssues(issues)}\n`);
  return new AutodomainError('config-invalid', message, { remedy: 'correct the files' });
}
