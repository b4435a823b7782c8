/** `autodomain reconcile`: asks the daemon for an attempt now, whatever it waits for. */
import { EXIT } from '../../base/errors.ts';
import { followAttempt, orSignal, requireDaemon } from '../daemon.ts';
import {
  declareSocket,
  declareTimeout,
  type SocketOption,
  type TimeoutOption,
} from '../options.ts';
import { defineVerb } from '../verb.ts';

type Options = SocketOption & TimeoutOption & { readonly wait?: boolean };

/** The verb `reconcile`. */
export const reconcile = defineVerb<Options>({
  name: 'reconcile',
  summary:
    'Asks the daemon to look at files and host and to act now, instead of when its time comes.',
  examples: [
    ['autodomain reconcile', 'prints the id of the request'],
    ['autodomain reconcile --wait --timeout 1m', 'after an edit: 0 ready, 6 stalled, 8 timed out'],
  ],
  declare(command) {
    declareTimeout(declareSocket(command).option('--wait', 'wait for what comes of it'));
  },
  async act(_paths, options, io) {
    return orSignal(io, async () => {
      const daemon = await requireDaemon(options, io);
      if (options.wait) return (await followAttempt(daemon, null, options, io)).code;
      io.stdout(`${await daemon.client.reconcile(null)}\n`);
      return EXIT.done;
    });
  },
});
