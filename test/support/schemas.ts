/** Documents against the schemas that are published for them. */
import { readdirSync, readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';

const ajv = new Ajv2020({ allowUnionTypes: true, strict: true, strictRequired: false });
for (const file of readdirSync('schema')) {
  if (file === 'autodomain.v1alpha1.json') continue;
  ajv.addSchema(JSON.parse(readFileSync(`schema/${file}`, 'utf8')) as object);
}

/** What of the document its schema (`status.v1`) does not allow, in words; null where all is well. */
export function documentCheck(schema: string, document: unknown): string | null {
  const validate = ajv.getSchema(`https://autodomain.dev/schema/${schema}.json`);
  if (validate === undefined) throw new Error(`there is no schema ${schema}`);
  return validate(document) === true ? null : ajv.errorsText(validate.errors);
}
