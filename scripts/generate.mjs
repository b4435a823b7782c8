// Makes src/spec/*.generated.ts from the schema, so that the schema is the only place where a field
// is declared. The two validators are apart because reading a config never needs the host's. With --check: fails when they are not up to date.
import { readFileSync, writeFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import standalone from 'ajv/dist/standalone/index.js';
import { compile } from 'json-schema-to-typescript';

const root = new URL('../', import.meta.url);
const schema = JSON.parse(readFileSync(new URL('schema/autodomain.v1alpha1.json', root), 'utf8'));

const banner = '// Made by `npm run generate` from schema/autodomain.v1alpha1.json. Do not edit.\n';

const outputs = [
  ['src/spec/types.generated.ts', await typesOf(schema)],
  ['src/spec/validate-container.generated.ts', validatorOf(schema, 'container')],
  ['src/spec/validate-host.generated.ts', validatorOf(schema, 'host')],
];
const stale = outputs.filter(([path, text]) => read(path) !== text).map(([path]) => path);
if (process.argv.includes('--check')) {
  if (stale.length > 0) {
    console.error(`not up to date: ${stale.join(', ')}; run \`npm run generate\` and commit`);
    process.exitCode = 1;
  }
} else {
  for (const [path, text] of outputs) writeFileSync(new URL(path, root), text);
}

function read(path) {
  try {
    return readFileSync(new URL(path, root), 'utf8');
  } catch {
    return null;
  }
}

async function typesOf(schema) {
  const options = {
    additionalProperties: false,
    bannerComment: banner.trim(),
    format: false,
    maxItems: -1,
  };
  return compile(structuredClone(schema), 'AutodomainDocument', options);
}

/** The validator of one kind, without ajv at run time: no `require`, no `new Function`. */
function validatorOf(schema, kind) {
  const ajv = new Ajv2020({
    strict: true,
    strictRequired: false,
    allErrors: true,
    unicode: false,
    // Errors carry their schema: suggestions for unknown keys and wrong words come from it.
    verbose: true,
    messages: false,
    logger: false,
    code: { source: true, esm: true },
  });
  ajv.addSchema(schema);
  const code = standalone.default(ajv, { validate: `${schema.$id}#/$defs/${kind}` });
  if (/\brequire\(|new Function/.test(code)) {
    throw new Error(
      'the validator needs code at run time: avoid minLength, maxLength and uniqueItems over objects',
    );
  }
  return `// @ts-nocheck\n${banner}${code}\n`;
}
