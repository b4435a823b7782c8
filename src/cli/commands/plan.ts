/** `autodomain plan`: what would be done, and why. Makes no writing call. */
import { writeFileSync } from 'node:fs';
import { AutodomainError, EXIT } from '../../base/errors.ts';
import { formatPlan } from '../../plan/format-text.ts';
import type { Daemon } from '../daemon.ts';
import { loadConfig } from '../inputs.ts';
import type { Io } from '../io.ts';
import { type HostOptions, openHost } from '../machine.ts';
import {
  type ColourOption,
  colourOption,
  declareGuards,
  declareHost,
  declareSocket,
  type GuardOptions,
  type OutputOption,
  outputOption,
  planOptionsOf,
  type SocketOption,
} from '../options.ts';
import { planFor, planLinesText, planOn, type ShownPlan } from '../planning.ts';
import { defineVerb } from '../verb.ts';

type Options = HostOptions &
  SocketOption &
  GuardOptions &
  OutputOption &
  ColourOption & { readonly detailedExitcode?: boolean; readonly out?: string };

/** The verb `plan`. */
export const plan = defineVerb<Options>({
  name: 'plan',
  summary:
    'Shows the steps that would make a host what the config says, with their reasons and their cost.',
  examples: [
    [
      'autodomain plan config/ --host host.yaml',
      'on a host that a file describes: no hardware, no rights',
    ],
    ['autodomain plan config/', 'on this machine, with what its daemon holds'],
    ['autodomain plan', 'what the daemon would make of its own files now'],
    [
      'autodomain plan config/ --host h.yaml --detailed-exitcode',
      'for pipelines: exit 2 where there is something to do',
    ],
    ['autodomain plan config/ --host h.yaml --out plan.json', 'saves the plan for `apply --plan`'],
  ],
  declare(command) {
    declareGuards(declareSocket(declareHost(command.argument('[path...]'))))
      .addOption(outputOption())
      .addOption(colourOption())
      .option('--detailed-exitcode', 'exit 2 where there is something to do')
      .option('--out <file>', 'save the plan as JSON');
  },
  async act(paths, options, io) {
    const { shown, title } = await planned(paths, options, io);
    const json = `${JSON.stringify(shown.document, null, 2)}\n`;
    if (options.out !== undefined) save(options.out, json);
    const text = (): string => planLinesText(title, formatPlan(shown.plan), options.color, io);
    io.stdout(options.output === 'json' ? json : text());
    if (shown.plan.blocked.length > 0) return EXIT.refused;
    return options.detailedExitcode && shown.plan.steps.length > 0 ? EXIT.changes : EXIT.done;
  },
});

/** On a Host file, on what the daemon holds, or on this machine where no daemon runs. */
async function planned(
  paths: readonly string[],
  options: Options,
  io: Io,
): Promise<{ readonly shown: ShownPlan; readonly title: string }> {
  const { host: file, hostName } = options;
  const daemon = file === undefined ? await daemonOf(options, io) : null;
  if (daemon !== null) {
    const { graphFrom } = await import('../daemon.ts');
    const loaded = loadConfig(paths.length > 0 ? paths : daemon.status.source.paths, io);
    const graph = await graphFrom(daemon);
    const named = hostName === undefined ? graph : { ...graph, host: hostName };
    const shown = planOn(named, loaded, planOptionsOf(options));
    const title = `Host ${shown.plan.host}, as its daemon (pid ${daemon.status.daemon.pid}) knows it`;
    return { shown, title };
  }
  const loaded = loadConfig(paths, io);
  const host = await openHost(options, io);
  const shown = planFor(host, loaded, planOptionsOf(options));
  return { shown, title: `Host ${shown.plan.host}` };
}

/** A Host file opens no socket, so what asks one is loaded only without it. */
async function daemonOf(options: Options, io: Io): Promise<Daemon | null> {
  const { findDaemon } = await import('../daemon.ts');
  return findDaemon(options, io);
}

function save(path: string, text: string): void {
  try {
    writeFileSync(path, text, { mode: 0o600 });
  } catch (error) {
    throw new AutodomainError('io', `the plan cannot be written to ${path}`, { cause: error });
  }
}
