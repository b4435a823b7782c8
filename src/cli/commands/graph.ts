/** `autodomain graph`: what is there. Makes no writing call. */
import { EXIT } from '../../base/errors.ts';
import { observeHost } from '../../engine/host.ts';
import { graphToJson } from '../../graph/format/json.ts';
import { formatGraph } from '../../graph/format/text.ts';
import { type HostOptions, openHost } from '../machine.ts';
import { declareHost, type OutputOption, outputOption } from '../options.ts';
import { defineVerb } from '../verb.ts';

/** The verb `graph`. */
export const graph = defineVerb<HostOptions & OutputOption>({
  name: 'graph',
  summary:
    'Shows contexts, containers, page tables and the devices on them; then devices that are free or held.',
  examples: [
    ['autodomain graph --host host.yaml', 'of a host that a file describes'],
    ['autodomain graph', 'of this machine'],
    ['autodomain graph -o json', 'as a JSON document'],
  ],
  declare(command) {
    declareHost(command).addOption(outputOption());
  },
  async act(_paths, options, io) {
    const host = await openHost(options, io, 'sysfs');
    const { graph: live } = observeHost(host);
    const json = (): string => JSON.stringify(graphToJson(live), null, 2);
    io.stdout(`${options.output === 'json' ? json() : formatGraph(live)}\n`);
    return EXIT.done;
  },
});
