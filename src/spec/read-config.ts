/** Files to a config: every document is read, every problem is collected, and any problem means no config at all. */
import { compareText } from '../base/ids.ts';
import { checkContainers } from './check.ts';
import type { Config, ContainerSpec, Place } from './config.ts';
import { type IssueText, issueAt, type SpecDocument, type TextFile } from './document.ts';
import { type IssueList, listIssues, type SpecIssue } from './issues.ts';
import { parseYaml } from './parse.ts';
import { resolveContainer } from './resolve.ts';
import { schemaIssues } from './schema.ts';
import { decodeFile, FILE_BYTES_MAX, SET_BYTES_MAX, type SourceFile } from './text.ts';
import { validate } from './validate-container.generated.ts';

/** A config, or the problems that keep the files from being one. */
export type ReadConfig =
  | { readonly config: Config; readonly issues: null }
  | { readonly config: null; readonly issues: IssueList };

/** The API version that documents carry. */
export const API_VERSION = 'autodomain.dev/v1alpha1';

/** Reads the files of a config. `earlier`: problems that were found while the files were read. Never throws. */
export function readConfig(
  sources: readonly SourceFile[],
  earlier: readonly SpecIssue[] = [],
): ReadConfig {
  const issues: SpecIssue[] = [...earlier];
  const containers: ContainerSpec[] = [];
  const files = new Map<string, TextFile>();
  let bytes = 0;
  for (const source of [...sources].sort((a, b) => compareText(a.path, b.path))) {
    bytes += source.bytes.length;
    const decoded = decodeFile(source, bytes > SET_BYTES_MAX ? 0 : FILE_BYTES_MAX);
    if (decoded.file === null) {
      issues.push(decoded.issue);
      continue;
    }
    files.set(source.path, decoded.file);
    const read = readFile(decoded.file);
    issues.push(...read.issues);
    containers.push(...read.containers);
  }
  containers.sort((a, b) => compareText(a.name, b.name));
  const makeIssue = (place: Place, text: Omit<IssueText, 'related'> & Related): SpecIssue =>
    issueIn(files, place, text);
  issues.push(...checkContainers(containers, makeIssue));
  if (issues.length > 0) return { config: null, issues: listIssues(issues) };
  return { config: { containers }, issues: null };
}

type Related = { readonly related: SpecIssue['related'] };

function issueIn(
  files: ReadonlyMap<string, TextFile>,
  place: Place,
  text: Omit<IssueText, 'related'> & Related,
): SpecIssue {
  const file = files.get(place.file);
  if (!file) return { ...place, ...text, excerpt: null, caret: 0 };
  const { related, ...rest } = text;
  const offset = (file.lines.lineStarts[place.line - 1] ?? 0) + place.column - 1;
  return issueAt(file, offset, related === null ? rest : { ...rest, related });
}

function readFile(file: TextFile): {
  readonly containers: readonly ContainerSpec[];
  readonly issues: readonly SpecIssue[];
} {
  if (/(^|\/)[Kk]ustomization(\.ya?ml)?$/.test(file.path)) return { containers: [], issues: [] };
  const { documents, issues: problems } = parseYaml(file);
  const issues: SpecIssue[] = [...problems];
  const containers: ContainerSpec[] = [];
  for (const document of documents) {
    if (isLocalConfig(document.value)) continue;
    const foreign = foreignIssue(document);
    const broken = foreign === null ? schemaIssues(document, validate) : [foreign];
    issues.push(...broken);
    if (broken.length > 0) continue;
    const resolved = resolveContainer(document);
    issues.push(...resolved.issues);
    containers.push(resolved.container);
  }
  return { containers, issues };
}

interface Header {
  readonly apiVersion?: unknown;
  readonly kind?: unknown;
  readonly metadata?: { readonly annotations?: Readonly<Record<string, unknown>> };
}

function isLocalConfig(value: unknown): boolean {
  const annotations = (value as Header | null)?.metadata?.annotations;
  return annotations?.['config.kubernetes.io/local-config'] === 'true';
}

/** A document that is not a Container: a typo here must never look like the removal of a container. */
function foreignIssue(document: SpecDocument): SpecIssue | null {
  const { value } = document;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return document.issue([], {
      rule: 'AD2001',
      message: 'a document is a map with `apiVersion` and `kind`',
      remedy: `begin it with \`apiVersion: ${API_VERSION}\``,
    });
  }
  const { apiVersion, kind } = value as Header;
  if (apiVersion !== API_VERSION) {
    return document.issue(['apiVersion'], {
      rule: 'AD2001',
      message:
        apiVersion === undefined
          ? 'apiVersion is missing'
          : `apiVersion ${JSON.stringify(apiVersion)} is not one of ours`,
      remedy: `write \`apiVersion: ${API_VERSION}\`, or annotate a document of another tool with config.kubernetes.io/local-config: "true"`,
    });
  }
  if (kind === 'Container') return null;
  if (kind === 'Host') {
    return document.issue(['kind'], {
      rule: 'AD2001',
      message: 'a Host is not part of a config',
      remedy: 'move the file out of the config directory and give it with `--host FILE`',
    });
  }
  return document.issue(['kind'], {
    rule: 'AD2001',
    message: kind === undefined ? 'kind is missing' : `kind ${JSON.stringify(kind)} is not ours`,
    remedy: 'write `kind: Container`',
  });
}
