/** Options that several verbs share, declared once. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { DEFAULT_OPTIONS } from '../plan/planner-options.ts';
import type { PlanOptions } from '../plan/types.ts';
import type { ColourChoice } from './colour.ts';
import { collect, wholeNumber } from './verb.ts';

/** `-o`. */
export interface OutputOption {
  readonly output: 'text' | 'json';
}

/** The option `-o text|json`. */
export function outputOption(): Option {
  return new Option('-o, --output <format>', 'text or json')
    .choices(['text', 'json'])
    .default('text');
}

/** `--color`. */
export interface ColourOption {
  readonly color: ColourChoice;
}

/** The option `--color auto|always|never`. */
export function colourOption(): Option {
  return new Option('--color <when>', 'auto, always or never')
    .choices(['auto', 'always', 'never'])
    .default('auto')
    .env('AUTODOMAIN_COLOR');
}

/** Declares what every verb with a host takes. */
export function declareHost(command: Command): Command {
  return command
    .option('--host <file>', 'work on this Host file; no kernel is touched')
    .addOption(
      new Option('--host-name <name>', 'match `hosts` against this name').env(
        'AUTODOMAIN_HOST_NAME',
      ),
    )
    .option('--trace', 'print every kernel call to stderr');
}

/** `--socket`. */
export interface SocketOption {
  readonly socket?: string;
}

/** Declares where a daemon is asked, or answers. The environment's AUTODOMAIN_SOCKET stands for it. */
export function declareSocket(command: Command, does = 'ask the daemon at this socket'): Command {
  return command.option('--socket <path>', does);
}

/** `--timeout`. */
export interface TimeoutOption {
  readonly timeout: number;
}

/** Declares how long is waited: a number of seconds, or with its unit. Milliseconds for the verb. */
export function declareTimeout(command: Command): Command {
  return command.option(
    '--timeout <time>',
    'wait this long: 30s, 5m (the default)',
    duration,
    300_000,
  );
}

function duration(text: string): number {
  const [, count, unit = 's'] = /^(\d{1,9})(ms|s|m|h)?$/.exec(text) ?? [];
  if (count === undefined) throw new InvalidArgumentError('it is a time such as 30s or 5m');
  return Number(count) * (UNITS_MS[unit] ?? 1000);
}

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** What a person allows beyond the config. */
export interface GuardOptions {
  readonly allowRemovals?: number;
  readonly confirm?: readonly string[];
}

/** Declares the guards of plan and apply. */
export function declareGuards(command: Command): Command {
  return command
    .option('--allow-removals <n>', 'devices that may be removed by absence', wholeNumber(0))
    .option('--confirm <name>', 'confirm a deletion or outage; may be repeated', collect);
}

/** The planner's options from the guards. */
export function planOptionsOf({ allowRemovals, confirm }: GuardOptions): PlanOptions {
  return {
    ...DEFAULT_OPTIONS,
    removalsAllowed: allowRemovals ?? null,
    confirmed: confirm ?? [],
  };
}
