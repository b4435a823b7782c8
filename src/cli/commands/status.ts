/** `autodomain status`: what the daemon does and holds, and whether all is well. */
import { Option } from 'commander';
import { AutodomainError, EXIT } from '../../base/errors.ts';
import { CONDITION_TYPES, type ConditionType, type StatusDocument } from '../../daemon/control.ts';
import { render, wantsColour } from '../colour.ts';
import { type Daemon, holdsNow, orSignal, requireDaemon, timedOut, verdictOf } from '../daemon.ts';
import type { Io } from '../io.ts';
import {
  type ColourOption,
  colourOption,
  declareSocket,
  declareTimeout,
  type OutputOption,
  outputOption,
  type SocketOption,
  type TimeoutOption,
} from '../options.ts';
import { formatStatus } from '../status-text.ts';
import { defineVerb } from '../verb.ts';

type Options = SocketOption &
  OutputOption &
  ColourOption &
  TimeoutOption & { readonly wait?: ConditionType };

/** The verb `status`. */
export const status = defineVerb<Options>({
  name: 'status',
  summary: 'Says what the daemon does and holds: whether all is well, what is not, and why.',
  examples: [
    ['autodomain status', 'first of all, when something is wrong'],
    ['autodomain status --wait Ready --timeout 2m', 'until the config that is attempted is so'],
    ['autodomain status -o json', 'as a JSON document'],
  ],
  declare(command) {
    const wait = new Option('--wait <condition>', 'wait until it holds for the attempted config');
    declareSocket(command)
      .addOption(outputOption())
      .addOption(colourOption())
      .addOption(wait.choices(CONDITION_TYPES));
    declareTimeout(command);
  },
  async act(_paths, options, io) {
    const { wait, timeout } = options;
    return orSignal(io, async () => {
      const daemon = await requireDaemon(options, io);
      const now = wait === undefined ? daemon.status : await waitFor(daemon, wait, timeout, io);
      if (options.output === 'json') io.stdout(`${JSON.stringify(now, null, 2)}\n`);
      else io.stdout(render(formatStatus(now, Date.now()), wantsColour(options.color, io)));
      if (wait === undefined || holdsNow(now, wait)) return EXIT.done;
      throw new AutodomainError('refused', `${now.host} is ${verdictOf(now)} and stalled`, {
        remedy: 'trying again alone does not help: change the files or the host as it says',
      });
    });
  },
});

const POLL_MS = 500;

/**
 * The status once the condition holds for the attempted config, or once the daemon says that it has
 * stalled. Throws `timed-out` (8). A daemon that is restarted meanwhile is waited for.
 */
async function waitFor(
  { client, status: first }: Daemon,
  wait: ConditionType,
  timeoutMs: number,
  { signal }: Io,
): Promise<StatusDocument> {
  const end = Date.now() + timeoutMs;
  let last: StatusDocument | AutodomainError = first;
  for (;;) {
    if (!(last instanceof AutodomainError) && (holdsNow(last, wait) || holdsNow(last, 'Stalled'))) {
      return last;
    }
    const left = end - Date.now();
    if (left <= 0) {
      if (last instanceof AutodomainError) throw timedOut(timeoutMs, last.message);
      throw timedOut(timeoutMs, `${last.host} is ${verdictOf(last)}`);
    }
    await pause(Math.min(left, POLL_MS), signal);
    last = await client.status().catch((error: unknown) => {
      if (signal.aborted || !(error instanceof AutodomainError)) throw error;
      return error;
    });
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done);
  });
}
