// Manual pages from what the program says of itself: autodomain(1) from the help of its verbs,
// autodomain(5) from the schemas. `npm run man` writes them to dist/man; `npm run deb` ships them. Needs dist.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { COMMANDS } from '../dist/cli/commands/index.js';
import { main } from '../dist/cli/main.js';
import { VERSION } from '../dist/cli/version.js';

const root = new URL('../', import.meta.url);

/** The pages by file name. */
export async function manPages() {
  return { 'autodomain.1': await commandPage(), 'autodomain.5': filesPage() };
}

async function commandPage() {
  const overview = (await helpOf([])).split('\n');
  const codes = overview.slice(overview.findIndex((line) => line.includes('Exit codes: ')));
  const verbs = [];
  for (const { name } of COMMANDS) verbs.push(...verbSection(name, await helpOf([name])));
  return page([
    `.TH AUTODOMAIN 1 "" "autodomain ${VERSION}"`,
    '.SH NAME',
    `autodomain \\- ${roff(overview[0].replace(/^autodomain /, '').replace(/\.$/, ''))}`,
    '.SH SYNOPSIS',
    '.B autodomain',
    '.I VERB',
    '[PATH...] [options]',
    '.SH DESCRIPTION',
    'Data goes to stdout, everything else to stderr. The files are described in autodomain(5).',
    '.SH VERBS',
    ...verbs,
    '.SH EXIT STATUS',
    ...exitCodes(codes.join(' ')),
    '.SH ENVIRONMENT',
    ...ENVIRONMENT.flatMap(([name, does]) => ['.TP', `.B ${roff(name)}`, roff(does)]),
    '.SH FILES',
    ...FILES.flatMap(([path, is]) => ['.TP', `.I ${roff(path)}`, roff(is)]),
    '.SH SEE ALSO',
    'autodomain(5), systemd.service(5)',
  ]);
}

const ENVIRONMENT = [
  ['AUTODOMAIN_SOCKET', 'The control socket, where --socket does not name it.'],
  ['AUTODOMAIN_SOCKET_GROUP', 'Stands for --socket-group.'],
  ['AUTODOMAIN_HOST_NAME', 'Stands for --host-name.'],
  ['AUTODOMAIN_LOG_LEVEL, AUTODOMAIN_LOG_FORMAT', 'Stand for --log-level and --log-format.'],
  ['AUTODOMAIN_RUN_DIR', 'Stands for /run/autodomain.'],
  ['AUTODOMAIN_COLOR, NO_COLOR, FORCE_COLOR', 'Whether output has colours.'],
];

const FILES = [
  ['/etc/autodomain/autodomain.yaml', 'Settings of the daemon.'],
  ['/etc/autodomain.d', 'The config that the service follows.'],
  ['/run/autodomain/control.sock', 'The control socket.'],
  ['/run/autodomain/journal', 'What the daemon holds; the next process takes it up.'],
  ['/run/autodomain/lock', 'Who holds this host.'],
];

/** `Exit codes: 0 done, 2 changes (...), ...` as a list. */
function exitCodes(text) {
  const list = text.replace(/^.*Exit codes: /, '').replace(/\.\s*$/, '');
  return list.split(/, (?=\d+ )/).flatMap((each) => {
    const [, code, means] = /^(\d+) (.*)$/.exec(each);
    return ['.TP', `.B ${code}`, roff(means.replace(/\s+/g, ' '))];
  });
}

function verbSection(name, help) {
  const [summary, , ...rest] = help.trimEnd().split('\n');
  const usage = rest.findIndex((line) => line.startsWith('Usage: '));
  const options = rest.slice(usage + 2).map((line) => OPTION.exec(line));
  return [
    `.SS ${name}`,
    roff(summary),
    '.PP',
    `.B ${roff(rest[usage].replace('Usage: ', ''))}`,
    ...options.flatMap(([, flags, does]) => ['.TP', `.B ${roff(flags)}`, roff(does)]),
    '.PP',
    '.nf',
    ...rest.slice(0, usage - 1).map((line) => roff(line)),
    '.fi',
  ];
}

const OPTION = /^ {2}((?:-\w, )?--[\w-]+(?: [<[][^>\]]+[>\]])?) +(.*)$/;

async function helpOf(argv) {
  let text = '';
  const stdout = (more) => {
    text += more;
  };
  const code = await main([...argv, '--help'], { stdout, stderr: stdout });
  if (code !== 0)
    throw new Error(`autodomain ${argv.join(' ')} --help ended with ${code}: ${text}`);
  return text;
}

function filesPage() {
  const documents = schemaNamed('autodomain.v1alpha1');
  const settings = schemaNamed('settings.v1alpha1');
  return page([
    `.TH AUTODOMAIN 5 "" "autodomain ${VERSION}"`,
    '.SH NAME',
    'autodomain \\- config and settings of autodomain',
    '.SH DESCRIPTION',
    'YAML 1.2 without anchors, aliases, merge keys and tags; every key that is not described here is',
    'refused. A field with a star is required.',
    '.SH CONTAINER',
    ...fieldsOf(documents, documents.$defs.container),
    '.SH SETTINGS',
    roff(settings.description),
    ...fieldsOf(settings, settings),
    '.SH SEE ALSO',
    'autodomain(1)',
  ]);
}

function schemaNamed(name) {
  return JSON.parse(readFileSync(new URL(`schema/${name}.json`, root), 'utf8'));
}

/** The fields below an object, depth first, each with the path to it. */
function fieldsOf(schema, object, prefix = '') {
  const required = new Set(object.required ?? []);
  return Object.entries(object.properties ?? {}).flatMap(([key, declared]) => {
    const field = resolved(schema, declared);
    const items = field.items === undefined ? null : resolved(schema, field.items);
    const path = `${prefix}${key}${items === null ? '' : '[]'}`;
    const bounds = boundsOf(items ?? field);
    return [
      '.TP',
      `.B ${roff(path)}${required.has(key) ? ' *' : ''}`,
      roff([field.description ?? items?.description ?? '', bounds].join(' ').trim()),
      ...fieldsOf(schema, items ?? field, `${path}.`),
    ];
  });
}

function resolved(schema, { $ref, ...own }) {
  if ($ref === undefined) return own;
  const target = $ref.split('/').slice(1);
  return {
    ...resolved(
      schema,
      target.reduce((at, part) => at[part], schema),
    ),
    ...own,
  };
}

function boundsOf({ enum: words, const: only, minimum, maximum, default: standard }) {
  const parts = [];
  if (words !== undefined) parts.push(`One of ${words.join(', ')}.`);
  if (only !== undefined) parts.push(`Always ${only}.`);
  if (minimum !== undefined && maximum !== undefined) parts.push(`${minimum} to ${maximum}.`);
  if (standard !== undefined) parts.push(`Default: ${standard}.`);
  return parts.join(' ');
}

/** Text as troff takes it: backslashes and hyphens as themselves, and no line that is a request. */
function roff(text) {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^(?=[.'])/gm, '\\&');
}

function page(lines) {
  return `.\\" Made by scripts/man.mjs. Do not edit.\n${lines.join('\n')}\n`;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const directory = new URL('dist/man/', root);
  mkdirSync(directory, { recursive: true });
  for (const [name, text] of Object.entries(await manPages())) {
    writeFileSync(new URL(name, directory), text);
  }
}
