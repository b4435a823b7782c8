/** `autodomain validate`: is the config one that could be applied. Reads files and nothing else. */
import { EXIT } from '../../base/errors.ts';
import { readSource } from '../../source/files.ts';
import { formatIssues } from '../../spec/format.ts';
import { readConfig } from '../../spec/read-config.ts';
import { type OutputOption, outputOption } from '../options.ts';
import { defineVerb, usageError } from '../verb.ts';

/** The verb `validate`. */
export const validate = defineVerb<OutputOption>({
  name: 'validate',
  summary:
    'Checks the files of a config: their YAML, their shape, and that they do not contradict each other.',
  examples: [
    ['autodomain validate /etc/autodomain.d', 'every *.yaml and *.yml below it'],
    ['autodomain validate base/ extra.yaml', 'several paths form one config'],
    ['autodomain validate config/ -o json', 'the problems as a JSON document'],
  ],
  declare(command) {
    command.argument('[path...]').addOption(outputOption());
  },
  async act(paths, { output }, io) {
    if (paths.length === 0) throw usageError('give a PATH: a file or directory of the config');
    const source = readSource(paths);
    const { config, issues } = readConfig(source.files, source.issues);
    const containers = config?.containers.length ?? 0;
    const problems = issues === null ? 0 : issues.issues.length + issues.leftOut;
    if (output === 'json') {
      const document = {
        formatVersion: '1.0',
        kind: 'Validation',
        config: { digest: source.digest, revision: source.revision },
        files: source.files.length,
        containers,
        problems,
        issues: issues?.issues ?? [],
      };
      io.stdout(`${JSON.stringify(document, null, 2)}\n`);
    } else if (issues !== null) io.stderr(`${formatIssues(issues)}\n`);
    else io.stdout(`valid: ${containers} containers in ${source.files.length} files\n`);
    return config === null ? EXIT.configInvalid : EXIT.done;
  },
});
