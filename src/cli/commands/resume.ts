/** `autodomain resume`: ends what `suspend` began. */
import { EXIT } from '../../base/errors.ts';
import { requireDaemon } from '../daemon.ts';
import { declareSocket, type SocketOption } from '../options.ts';
import { defineVerb } from '../verb.ts';

/** The verb `resume`. */
export const resume = defineVerb<SocketOption>({
  name: 'resume',
  summary: 'Lets a suspended daemon apply again, from what the files say now.',
  examples: [
    ['autodomain plan', 'first look at what it would do'],
    ['autodomain resume', 'then let it'],
  ],
  declare(command) {
    declareSocket(command);
  },
  async act(_paths, options, io) {
    const { client, status } = await requireDaemon(options, io);
    await client.resume();
    io.stderr(`${status.host}: resumed; \`autodomain status --wait Ready\` waits for it\n`);
    return EXIT.done;
  },
});
