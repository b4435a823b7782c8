/** `autodomain schema`: the JSON schemas of what is read and of what is printed. */
import { readdirSync, readFileSync } from 'node:fs';
import { EXIT } from '../../base/errors.ts';
import { defineVerb, usageError } from '../verb.ts';

const DIRECTORY = new URL('../../../schema/', import.meta.url);

/** The verb `schema`. */
export const schema = defineVerb<object>({
  name: 'schema',
  summary:
    'Prints a JSON schema: of the files (the default), of a plan or graph, or of what a daemon answers.',
  examples: [
    ['autodomain schema', 'the schema of Container and Host documents'],
    ['autodomain schema plan.v1', 'the shape of `plan -o json`'],
    ['autodomain schema status.v1', 'the shape of `status -o json`'],
  ],
  declare(command) {
    command.argument('[name]');
  },
  async act([name = 'autodomain.v1alpha1'], _options, io) {
    const names = readdirSync(DIRECTORY).map((file) => file.replace(/\.json$/, ''));
    if (!names.includes(name)) {
      throw usageError(`there is no schema '${name}'`, `there are ${names.join(', ')}`);
    }
    io.stdout(readFileSync(new URL(`${name}.json`, DIRECTORY), 'utf8'));
    return EXIT.done;
  },
});
