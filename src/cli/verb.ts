/** What a verb is, and how its arguments are read: commander parses, our exit codes and help order hold. */
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { AutodomainError, EXIT } from '../base/errors.ts';
import type { Io } from './io.ts';

/** A verb of the command line. */
export interface Verb {
  run(argv: readonly string[], io: Io): Promise<number>;
}

/** How a verb is declared. */
export interface VerbSpec<Options> {
  readonly name: string;
  readonly summary: string;
  /** Example command lines with what they do; the help begins with them. */
  readonly examples: readonly (readonly [command: string, does: string])[];
  /** Declares arguments and options on the parser. */
  declare(command: Command): void;
  /** What stands where the command line says nothing. */
  fallback?(options: Options, io: Io): Promise<Fallback>;
  act(paths: readonly string[], options: Options, io: Io): Promise<number>;
}

/** Paths and options from elsewhere. An option that is undefined here keeps its default. */
export interface Fallback {
  readonly paths: readonly string[];
  /** By the name that `act` knows it by. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** Makes a verb. An argument that is not understood is exit 64, also where help is asked for. */
export function defineVerb<Options extends object>(spec: VerbSpec<Options>): Verb {
  return {
    async run(argv, io) {
      const command = parserOf(spec);
      try {
        command.parse([...argv], { from: 'user' });
      } catch (error) {
        if (!(error instanceof CommanderError)) throw error;
        const message = error.message.replace(/^error: /, '');
        io.stderr(`autodomain ${spec.name}: ${message}; see \`autodomain ${spec.name} --help\`\n`);
        return EXIT.usage;
      }
      const options = command.opts<Options & { help?: boolean }>();
      if (options.help) {
        io.stdout(helpOf(spec, command));
        return EXIT.done;
      }
      const fallback = await spec.fallback?.(options, io);
      if (fallback !== undefined) fillIn(command, fallback.options);
      const paths = command.args.length > 0 ? command.args : (fallback?.paths ?? []);
      return spec.act(paths, command.opts<Options>(), io);
    },
  };
}

/** Neither an option that was given nor one from the environment is touched. */
function fillIn(command: Command, values: Fallback['options']): void {
  for (const [name, value] of Object.entries(values)) {
    const source = command.getOptionValueSource(name);
    const isOpen = source === undefined || source === 'default';
    if (isOpen && value !== undefined) command.setOptionValueWithSource(name, value, 'config');
  }
}

function parserOf<Options>(spec: VerbSpec<Options>): Command {
  const command = new Command(spec.name)
    .exitOverride()
    .configureOutput({ writeErr: () => undefined, writeOut: () => undefined })
    .helpOption(false)
    .allowExcessArguments(false);
  spec.declare(command);
  return command.option('-h, --help', 'show this help');
}

function helpOf<Options>(spec: VerbSpec<Options>, command: Command): string {
  const width = Math.max(...spec.examples.map(([line]) => line.length));
  const examples = spec.examples.map(([line, does]) => `  ${line.padEnd(width)}   ${does}`);
  const options = command.options.map(
    (option) => `  ${option.flags.padEnd(24)} ${option.description}`,
  );
  const args = command.registeredArguments.map((argument) => ` [${argument.name()}...]`).join('');
  return [
    `${spec.summary}`,
    '',
    ...examples,
    '',
    `Usage: autodomain ${spec.name}${args} [options]`,
    '',
    ...options,
    '',
  ].join('\n');
}

/** Reads a whole number of at least `min`; anything else is a usage error. */
export function wholeNumber(min: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < min) {
      throw new InvalidArgumentError(`it is a whole number of at least ${min}`);
    }
    return value;
  };
}

/** Collects an option that may be given several times. */
export function collect(text: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), text];
}

/** A usage error that is found after parsing. Exit 64. */
export function usageError(message: string, remedy?: string): AutodomainError {
  return new AutodomainError('usage', message, remedy === undefined ? {} : { remedy });
}
