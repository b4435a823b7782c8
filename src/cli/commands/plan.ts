/** `autodomain plan`: what would be done, and why. Makes no writing call. */
import { writeFileSync } from 'node:fs';
import { AutodomainError, EXIT } from '../../base/errors.ts';
import { loadConfig } from '../inputs.ts';
import { type HostOptions, openHost } from '../machine.ts';
import {
  type ColourOption,
  colourOption,
  declareGuards,
  declareHost,
  type GuardOptions,
  type OutputOption,
  outputOption,
  planOptionsOf,
} from '../options.ts';
import { planFor, planText } from '../planning.ts';
import { defineVerb } from '../verb.ts';

type Options = HostOptions &
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
    ['autodomain plan config/', 'on this machine, where nothing is held yet'],
    [
      'autodomain plan config/ --host h.yaml --detailed-exitcode',
      'for pipelines: exit 2 where there is something to do',
    ],
    ['autodomain plan config/ --host h.yaml --out plan.json', 'saves the plan for `apply --plan`'],
  ],
  declare(command) {
    declareGuards(declareHost(command.argument('[path...]')))
      .addOption(outputOption())
      .addOption(colourOption())
      .option('--detailed-exitcode', 'exit 2 where there is something to do')
      .option('--out <file>', 'save the plan as JSON');
  },
  async act(paths, options, io) {
    const loaded = loadConfig(paths, io);
    const host = await openHost(options, io);
    const shown = planFor(host, loaded, planOptionsOf(options));
    const json = `${JSON.stringify(shown.document, null, 2)}\n`;
    if (options.out !== undefined) save(options.out, json);
    io.stdout(options.output === 'json' ? json : planText(shown, options.color, io));
    if (shown.plan.blocked.length > 0) return EXIT.refused;
    return options.detailedExitcode && shown.plan.steps.length > 0 ? EXIT.changes : EXIT.done;
  },
});

function save(path: string, text: string): void {
  try {
    writeFileSync(path, text, { mode: 0o600 });
  } catch (error) {
    throw new AutodomainError('io', `the plan cannot be written to ${path}`, { cause: error });
  }
}
