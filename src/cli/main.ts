/** Arguments to a verb to an exit code. Verbs are loaded when they are used: `validate` loads no kernel. */
import {
  AutodomainError,
  ERROR_CODES,
  EXIT,
  exitCodeOf,
  formatErrorChain,
} from '../base/errors.ts';
import { COMMANDS } from './commands/index.ts';
import type { Io } from './io.ts';
import { VERSION } from './version.ts';

/** Runs one command line. Never throws: whatever happens becomes an exit code and a line on stderr. */
export async function main(argv: readonly string[], io: Io): Promise<number> {
  const [verb, ...rest] = argv;
  if (verb === '--version' || verb === '-V') {
    io.stdout(`${VERSION}\n`);
    return EXIT.done;
  }
  if (verb === undefined || verb === '--help' || verb === '-h' || verb === 'help') {
    const text = overview();
    if (verb === undefined) io.stderr(text);
    else io.stdout(text);
    return verb === undefined ? EXIT.usage : EXIT.done;
  }
  const entry = COMMANDS.find(({ name }) => name === verb);
  if (entry === undefined) {
    io.stderr(`autodomain: unknown verb '${verb}'; \`autodomain --help\` lists them\n`);
    return EXIT.usage;
  }
  try {
    const command = await entry.load();
    return await command.run(rest, io);
  } catch (error) {
    io.stderr(`autodomain ${verb}: ${describe(error)}\n`);
    return exitCodeOf(error);
  }
}

function describe(error: unknown): string {
  const text = formatErrorChain(error);
  if (error instanceof AutodomainError) {
    return error.remedy === null ? text : `${text}; ${error.remedy}`;
  }
  const stack = error instanceof Error ? `\n${error.stack ?? ''}` : '';
  return `${text} (${ERROR_CODES.internal.exit}: a defect of autodomain; please report it)${stack}`;
}

function overview(): string {
  const verbs = COMMANDS.map(({ name, summary }) => `  ${name.padEnd(10)} ${summary}`);
  return [
    'autodomain reconciles the VFIO containers of a host with YAML files.',
    '',
    '  autodomain validate config/                     check files; needs no hardware and no rights',
    '  autodomain plan config/ --host host.yaml        show what would be done on that host',
    '  autodomain apply config/ --hold --yes           do it here, and hold it until SIGTERM',
    '',
    'Verbs:',
    ...verbs,
    '',
    '`autodomain VERB --help` explains a verb. Exit codes: 0 done, 2 changes (only with',
    '--detailed-exitcode), 3 config invalid, 4 failed and rolled back, 5 failed, 6 refused,',
    '7 plan is stale, 8 timed out, 64 usage, 69 kernel lacks something, 75 locked, 77 no permission,',
    '78 settings, run directory or journal of the daemon not to be trusted.',
    '',
  ].join('\n');
}
