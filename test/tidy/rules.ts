/** Rules of the repository that a linter cannot express, over a list of files, so that fixtures run through the same code. */

/** A source file: its path below the repository, and its text. */
export interface SourceText {
  readonly path: string;
  readonly text: string;
}

/** What each layer may import; everything below `src` is in one. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  base: ['base'],
  spec: ['base', 'spec'],
  graph: ['base', 'spec', 'graph'],
  steps: ['base', 'spec', 'graph', 'steps'],
  plan: ['base', 'spec', 'graph', 'steps', 'plan'],
  kernel: ['base', 'graph', 'kernel'],
  'kernel/native': ['base', 'kernel', 'kernel/native'],
  'kernel/sim': ['base', 'spec', 'graph', 'kernel', 'kernel/sim'],
  engine: ['base', 'spec', 'graph', 'steps', 'plan', 'kernel', 'engine'],
  source: ['base', 'spec', 'source'],
  daemon: ['base', 'spec', 'graph', 'steps', 'plan', 'kernel', 'engine', 'source', 'daemon'],
  cli: [
    'base',
    'spec',
    'graph',
    'steps',
    'plan',
    'kernel',
    'kernel/native',
    'kernel/sim',
    'engine',
    'source',
    'daemon',
    'cli',
  ],
};

const PURE = new Set(['base', 'spec', 'graph', 'steps', 'plan']);
const LINES_MAX = 400;

/** The layer of a file below `src`; null for a file outside, or right in it. */
function layerOf(path: string): string | null {
  const parts = path.replace(/^src\//, '').split('/');
  if (!path.startsWith('src/') || parts.length < 2) return null;
  const two = `${parts[0]}/${parts[1]}`;
  return two in LAYERS ? two : (parts[0] ?? null);
}

/** The paths and packages that a file imports, statically or not. */
function importsOf(text: string): readonly string[] {
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1] ?? '');
}

function resolveImport(from: string, target: string): string {
  const parts = from.split('/').slice(0, -1);
  for (const part of target.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '.') parts.push(part);
  }
  return parts.join('/');
}

/** Every file that loading `entry` loads, itself included; what is imported only when used is not. */
export function loadedBy(entry: string, read: (path: string) => string): readonly string[] {
  const loaded = new Set<string>();
  const visit = (path: string): void => {
    if (loaded.has(path)) return;
    loaded.add(path);
    for (const match of read(path).matchAll(
      /^(?:import|export)(?! type)[^;]*?from '(\.[^']+)'/gm,
    )) {
      visit(resolveImport(path, match[1] ?? ''));
    }
  };
  visit(entry);
  return [...loaded];
}

/** Every broken rule, as `path: what`. */
export function tidy(files: readonly SourceText[]): readonly string[] {
  return files.flatMap((file) => [...layers(file), ...purity(file), ...texts(file), ...docs(file)]);
}

function layers({ path, text }: SourceText): readonly string[] {
  const layer = layerOf(path);
  if (layer === null) return [];
  const allowed = LAYERS[layer];
  if (allowed === undefined) return [`${path}: ${layer} is not a layer`];
  return importsOf(text).flatMap((target) => {
    if (!target.startsWith('.')) {
      const koffi = target === 'koffi' && layer !== 'kernel/native';
      return koffi ? [`${path}: only src/kernel/native may load koffi`] : [];
    }
    const other = layerOf(resolveImport(path, target));
    if (other === null || allowed.includes(other)) return [];
    return [`${path}: ${layer} must not import ${other}`];
  });
}

function purity({ path, text }: SourceText): readonly string[] {
  if (!PURE.has(layerOf(path) ?? '')) return [];
  const outside = importsOf(text).filter((target) =>
    /^(node:|chokidar|commander|ajv)/.test(target),
  );
  const globals = [
    ...text.matchAll(/\b(Math\.random|Date\.now|new Date|process\.|setTimeout|performance\.)/g),
  ];
  return [
    ...outside.map((target) => `${path}: the pure core must not import ${target}`),
    ...globals.map((match) => `${path}: the pure core must not use ${match[1]}`),
  ];
}

function texts({ path, text }: SourceText): readonly string[] {
  const lines = text.split('\n').length - 1;
  const isTable = path.startsWith('src/kernel/uapi/');
  return [
    ...(/\b(FIXME|TODO)\b/.test(text) ? [`${path}: an unfinished note`] : []),
    ...(/\.(only|skip|todo)\(/.test(text) ? [`${path}: a narrowed or skipped test`] : []),
    ...(lines > LINES_MAX && !isTable
      ? [`${path}: ${lines} lines, and ${LINES_MAX} are allowed`]
      : []),
  ];
}

/** Every export of `src` has a comment right above it, but for constants that follow a documented one. */
function docs({ path, text }: SourceText): readonly string[] {
  if (!path.startsWith('src/')) return [];
  const lines = text.split('\n');
  return lines.flatMap((line, index) => {
    const name = /^export (?:async )?(?:function|const|class|interface|type) (\w+)/.exec(line)?.[1];
    if (name === undefined) return [];
    const above = lines[index - 1]?.trim() ?? '';
    return above.endsWith('*/') ? [] : [`${path}: export ${name} has no doc comment`];
  });
}
