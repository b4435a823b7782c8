// Makes *.generated.ts from the schemas, so that a schema is the only place where a field is declared.
// The validators are apart because reading a config never needs the host's. With --check: fails when
// they are not up to date.
import { readFileSync, writeFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import standalone from 'ajv/dist/standalone/index.js';
import { compile } from 'json-schema-to-typescript';

const root = new URL('../', import.meta.url);
const documents = schemaNamed('autodomain.v1alpha1');
const settings = schemaNamed('settings.v1alpha1');

const outputs = [
  ['src/spec/types.generated.ts', await typesOf(documents, 'AutodomainDocument')],
  ['src/spec/validate-container.generated.ts', validatorOf(documents, '#/$defs/container')],
  ['src/spec/validate-host.generated.ts', validatorOf(documents, '#/$defs/host')],
  ['src/daemon/settings-types.generated.ts', await typesOf(settings, 'SettingsDocument')],
  ['src/daemon/validate-settings.generated.ts', validatorOf(settings, '')],
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

function schemaNamed(name) {
  return JSON.parse(readFileSync(new URL(`schema/${name}.json`, root), 'utf8'));
}

function bannerOf(schema) {
  const file = new URL(schema.$id).pathname.slice(1);
  return `// Made by \`npm run generate\` from ${file}. Do not edit.\n`;
}

async function typesOf(schema, name) {
  const options = {
    additionalProperties: false,
    bannerComment: bannerOf(schema).trim(),
    format: false,
    maxItems: -1,
  };
  return compile(structuredClone(schema), name, options);
}

/** The validator of what is at `place`, without ajv at run time: no `require`, no `new Function`. */
function validatorOf(schema, place) {
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
  const code = standalone.default(ajv, { validate: `${schema.$id}${place}` });
  if (/\brequire\(|new Function/.test(code)) {
    throw new Error(
      'the validator needs code at run time: avoid minLength, maxLength and uniqueItems over objects',
    );
  }
  return `// @ts-nocheck\n${bannerOf(schema)}${code}\n`;
}
