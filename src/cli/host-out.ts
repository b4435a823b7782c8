/** `--host-out`: the model as it is afterwards, as a Host file. */
import { writeFileSync } from 'node:fs';
import { stringify } from 'yaml';
import { AutodomainError } from '../base/errors.ts';
import { type ManagedHost, observeHost } from '../engine/host.ts';
import { snapshotHost } from '../graph/snapshot.ts';
import type { HostDocument } from '../spec/types.generated.ts';

/** A Host document as text. Every text is quoted, so that no reader takes an address for a number. */
export function formatHost(document: HostDocument, format: 'json' | 'yaml'): string {
  return format === 'json'
    ? `${JSON.stringify(document, null, 2)}\n`
    : stringify(document, { defaultStringType: 'QUOTE_DOUBLE', defaultKeyType: 'PLAIN' });
}

/** Observes the host and writes it. A name that ends in .json gives JSON. */
export function saveHost(path: string, host: ManagedHost): void {
  const { observation } = observeHost(host);
  const format = path.endsWith('.json') ? 'json' : 'yaml';
  const text = formatHost(snapshotHost(observation, { holders: 'named' }), format);
  try {
    writeFileSync(path, text);
  } catch (error) {
    throw new AutodomainError('io', `the host cannot be written to ${path}`, { cause: error });
  }
}
