/** `autodomain snapshot`: this host as a Host file, so that a change can be planned against it elsewhere. Writes nothing but its output. */
import { EXIT } from '../../base/errors.ts';
import { observeHost } from '../../engine/host.ts';
import { snapshotHost } from '../../graph/snapshot.ts';
import { formatHost } from '../host-out.ts';
import { type HostOptions, openHost } from '../machine.ts';
import { declareHost } from '../options.ts';
import { defineVerb } from '../verb.ts';

type Options = HostOptions & { readonly json?: boolean; readonly pids?: boolean };

/** The verb `snapshot`. */
export const snapshot = defineVerb<Options>({
  name: 'snapshot',
  summary:
    'Writes this host as a Host file: hardware, kernel, and who holds what. No serial numbers.',
  examples: [
    [
      'autodomain snapshot > hosts/node-7.yaml',
      'for pull requests that are planned without the machine',
    ],
    ['autodomain snapshot --json > node-7.json', 'as JSON, which fleets commit'],
    [
      'autodomain plan config/ --host hosts/node-7.yaml',
      'gives the plan that the machine itself would give',
    ],
  ],
  declare(command) {
    declareHost(command)
      .option('--json', 'as JSON instead of YAML')
      .option(
        '--pids',
        'name the processes that hold devices, instead of only saying that one does',
      );
  },
  async act(_paths, options, io) {
    const host = await openHost(options, io, 'sysfs');
    const { observation } = observeHost(host);
    const holders = options.pids ? 'named' : 'anonymous';
    io.stdout(formatHost(snapshotHost(observation, { holders }), options.json ? 'json' : 'yaml'));
    return EXIT.done;
  },
});
