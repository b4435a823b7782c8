/** `autodomain exec NAME -- CMD`: becomes CMD, with the container's iommufd and device files. */
import { AutodomainError } from '../../base/errors.ts';
import { receiveHandOver } from '../../daemon/hand-over/client.ts';
import type { HandOver } from '../../daemon/hand-over/protocol.ts';
import { fileOf } from '../../kernel/peer.ts';
import { type Fd, SyscallError } from '../../kernel/port.ts';
import { handOverSocket } from '../hand-over-socket.ts';
import { defineVerb, usageError, wholeNumber } from '../verb.ts';

interface Options {
  readonly handOverSocket?: string;
  readonly timeout: number;
}

/** The verb `exec`. */
export const exec = defineVerb<Options>({
  name: 'exec',
  summary:
    'Becomes a command that has the open files of a container: its iommufd and its devices. It needs no other right.',
  examples: [
    ['autodomain exec vm-blue -- my-driver --fast', 'AUTODOMAIN_HANDOVER says which file is what'],
  ],
  declare(command) {
    command
      .argument('[name]')
      .argument('[command...]')
      .option('--hand-over-socket <path>', 'the socket of the daemon that hands over')
      .option(
        '--timeout <ms>',
        'how long to wait for an attempt under way',
        wholeNumber(1),
        90_000,
      );
  },
  async act([name, ...words], options, io) {
    const [file, ...args] = words;
    if (name === undefined || file === undefined) {
      throw usageError('give a container and a command: `autodomain exec NAME -- CMD`');
    }
    const { unixCalls } = await import('../../kernel/native/unix.ts');
    const { become, inherit, memoryFile } = await import('../../kernel/native/exec.ts');
    const got = await receiveHandOver({
      path: options.handOverSocket ?? handOverSocket(io.env),
      container: name,
      timeoutMs: options.timeout,
      receive: (socket) => unixCalls.receiveWithFds(fileOf(socket)),
    });
    for (const fd of filesOf(got)) inherit(fd);
    const text = JSON.stringify(got);
    const description = memoryFile('autodomain-hand-over', text);
    const env = {
      ...io.env,
      AUTODOMAIN_HANDOVER: text,
      AUTODOMAIN_HANDOVER_FILE: `/proc/self/fd/${description}`,
    };
    try {
      return become([file, ...args], env);
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      throw new AutodomainError('io', `${file} cannot be started`, {
        cause: error,
        remedy: 'give a program that is in PATH, or its path',
      });
    }
  },
});

function filesOf({ iommufd, devices }: HandOver): readonly Fd[] {
  return [iommufd, ...devices.map(({ fd }) => fd)] as readonly number[] as readonly Fd[];
}
