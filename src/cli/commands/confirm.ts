/** `autodomain confirm`: a person's yes to what a guard holds back. For one config, once. */
import { AutodomainError, EXIT } from '../../base/errors.ts';
import { requireDaemon } from '../daemon.ts';
import { declareSocket, type SocketOption } from '../options.ts';
import { formatRevision } from '../status-text.ts';
import { defineVerb, usageError, wholeNumber } from '../verb.ts';

type Options = SocketOption & { readonly removals?: number; readonly digest?: string };

/** The verb `confirm`. */
export const confirm = defineVerb<Options>({
  name: 'confirm',
  summary:
    'Says yes to what a guard holds back: for the config that the daemon attempts now, and once.',
  examples: [
    ['autodomain plan', 'first look at what is held back'],
    ['autodomain confirm vm-red', 'the deletion or outage of these containers'],
    ['autodomain confirm --removals 12', 'the removal of at most that many devices by absence'],
  ],
  declare(command) {
    declareSocket(command.argument('[name...]'))
      .option('--removals <n>', 'devices that may be removed by absence', wholeNumber(0))
      .option('--digest <digest>', 'only if this config is still the one that is attempted');
  },
  async act(names, options, io) {
    const { removals = null } = options;
    if (names.length === 0 && removals === null) {
      throw usageError('give the NAMEs of containers, or --removals');
    }
    const { client, status } = await requireDaemon(options, io);
    const { attempted } = status.source;
    if (attempted === null) {
      throw new AutodomainError('refused', `${status.host} has no config yet`, {
        remedy: '`autodomain status` says why',
      });
    }
    const known = new Set(status.containers.map(({ name }) => name));
    const unknown = names.find((name) => !known.has(name));
    if (unknown !== undefined) {
      throw new AutodomainError('refused', `there is no container '${unknown}'`, {
        remedy: `there are ${[...known].join(', ') || 'none'}`,
      });
    }
    const digest = options.digest ?? attempted.digest;
    await client.confirm({ digest, containers: names, removals });
    const what = [...names, ...(removals === null ? [] : [`${removals} removals`])].join(', ');
    io.stderr(
      `${status.host}: confirmed ${what} for ${formatRevision(digest, attempted.revision)}, once\n`,
    );
    return EXIT.done;
  },
});
