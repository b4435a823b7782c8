/** `autodomain graph`: what is there, as the daemon knows it or as it can be seen. Makes no writing call. */
import { EXIT } from '../../base/errors.ts';
import { observeHost } from '../../engine/host.ts';
import { graphToJson } from '../../graph/format/json.ts';
import { formatGraph } from '../../graph/format/text.ts';
import type { Graph } from '../../graph/types.ts';
import type { Io } from '../io.ts';
import { type HostOptions, openHost } from '../machine.ts';
import {
  declareHost,
  declareSocket,
  type OutputOption,
  outputOption,
  type SocketOption,
} from '../options.ts';
import { defineVerb } from '../verb.ts';

type Options = HostOptions & SocketOption & OutputOption;

/** The verb `graph`. */
export const graph = defineVerb<Options>({
  name: 'graph',
  summary:
    'Shows contexts, containers, page tables and the devices on them; then devices that are free or held.',
  examples: [
    ['autodomain graph --host host.yaml', 'of a host that a file describes'],
    ['autodomain graph', 'of this machine, with what its daemon holds'],
    ['autodomain graph -o json', 'as a JSON document'],
  ],
  declare(command) {
    declareSocket(declareHost(command)).addOption(outputOption());
  },
  async act(_paths, options, io) {
    const live = await graphOf(options, io);
    const json = (): string => JSON.stringify(graphToJson(live), null, 2);
    io.stdout(`${options.output === 'json' ? json() : formatGraph(live)}\n`);
    return EXIT.done;
  },
});

async function graphOf(options: Options, io: Io): Promise<Graph> {
  if (options.host === undefined) {
    const { findDaemon, graphFrom } = await import('../daemon.ts');
    const daemon = await findDaemon(options, io);
    if (daemon !== null) return graphFrom(daemon);
  }
  const host = await openHost(options, io, 'sysfs');
  return observeHost(host).graph;
}
