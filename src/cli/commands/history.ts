/** `autodomain history`: the attempts that did something. */
import { EXIT } from '../../base/errors.ts';
import { render, wantsColour } from '../colour.ts';
import { requireDaemon } from '../daemon.ts';
import {
  type ColourOption,
  colourOption,
  declareSocket,
  type OutputOption,
  outputOption,
  type SocketOption,
} from '../options.ts';
import { formatHistory } from '../status-text.ts';
import { defineVerb } from '../verb.ts';

/** The verb `history`. */
export const history = defineVerb<SocketOption & OutputOption & ColourOption>({
  name: 'history',
  summary: 'Shows the last twenty attempts that did something, the newest first.',
  examples: [
    ['autodomain history', 'what was done, when, from which commit, and what came of it'],
    ['autodomain history -o json', 'as a JSON document'],
  ],
  declare(command) {
    declareSocket(command).addOption(outputOption()).addOption(colourOption());
  },
  async act(_paths, options, io) {
    const { status } = await requireDaemon(options, io);
    if (options.output === 'json') {
      const document = {
        formatVersion: '1.0',
        kind: 'History',
        host: status.host,
        history: status.history,
      };
      io.stdout(`${JSON.stringify(document, null, 2)}\n`);
    } else {
      const lines = formatHistory(status.history, Date.now());
      io.stdout(render(lines, wantsColour(options.color, io)));
    }
    return EXIT.done;
  },
});
