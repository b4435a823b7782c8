/** `autodomain suspend`: the daemon looks and says, and applies nothing. */
import { EXIT } from '../../base/errors.ts';
import { requireDaemon } from '../daemon.ts';
import { declareSocket, type SocketOption } from '../options.ts';
import { defineVerb } from '../verb.ts';

/** The verb `suspend`. */
export const suspend = defineVerb<SocketOption>({
  name: 'suspend',
  summary: 'Keeps the daemon from applying anything until `resume`. What it holds stays as it is.',
  examples: [['autodomain suspend', 'before work on the host by hand']],
  declare(command) {
    declareSocket(command);
  },
  async act(_paths, options, io) {
    const { client, status } = await requireDaemon(options, io);
    await client.suspend();
    io.stderr(`${status.host}: suspended; nothing is applied until \`autodomain resume\`\n`);
    return EXIT.done;
  },
});
