/** `--host-out`: the model as it is afterwards, as a Host file. */
import { writeFileSync } from 'node:fs';
import { stringify } from 'yaml';
import { AutodomainError } from '../base/errors.ts';
import { type ManagedHost, observeHost } from '../engine/host.ts';
import { snapshotHost } from '../graph/snapshot.ts';

/** Observes the host and writes it. A name that ends in .json gives JSON. */
export function saveHost(path: string, host: ManagedHost): void {
  const { observation } = observeHost(host);
  const document = snapshotHost(observation, { holders: 'named' });
  const text = path.endsWith('.json')
    ? `${JSON.stringify(document, null, 2)}\n`
    : stringify(document, { defaultStringType: 'QUOTE_DOUBLE', defaultKeyType: 'PLAIN' });
  try {
    writeFileSync(path, text);
  } catch (error) {
    throw new AutodomainError('io', `the host cannot be written to ${path}`, { cause: error });
  }
}
