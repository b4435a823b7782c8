/** A file to a Host document. JSON is read by the JSON parser, and positions are only worked out when something is wrong. */
import { hostIssues } from './check-host.ts';
import { SpecDocument, type TextFile } from './document.ts';
import { type IssueList, listIssues, type SpecIssue } from './issues.ts';
import { parseYaml } from './parse.ts';
import { API_VERSION } from './read-config.ts';
import { schemaIssues } from './schema.ts';
import { decodeFile, HOST_BYTES_MAX, type SourceFile } from './text.ts';
import type { HostDocument } from './types.generated.ts';
import { validate } from './validate-host.generated.ts';

/** A host, or the problems that keep the file from being one. */
export type ReadHost =
  | { readonly host: HostDocument; readonly issues: null }
  | { readonly host: null; readonly issues: IssueList };

/** Reads a Host file. Never throws. */
export function readHost(source: SourceFile): ReadHost {
  const decoded = decodeFile(source, HOST_BYTES_MAX);
  if (decoded.file === null) return refuse([decoded.issue]);
  const quick = parseJson(decoded.file);
  if (quick !== null && issuesOf(quick).length === 0) return accept(quick);
  const { documents, issues } = parseYaml(decoded.file, HOST_NODES_MAX);
  const [document, second] = documents;
  if (issues.length > 0) return refuse(issues);
  if (document === undefined || second !== undefined) {
    return refuse([
      (second ?? new SpecDocument(decoded.file, null, null)).issue([], {
        rule: 'AD2001',
        message: `the file holds ${documents.length} documents, and a Host file is one`,
        remedy: 'keep one host in one file',
      }),
    ]);
  }
  const problems = issuesOf(document);
  return problems.length > 0 ? refuse(problems) : accept(document);
}

const HOST_NODES_MAX = 4_000_000;

function parseJson(file: TextFile): SpecDocument | null {
  if (!file.text.trimStart().startsWith('{')) return null;
  try {
    return new SpecDocument(file, null, JSON.parse(file.text));
  } catch {
    return null;
  }
}

function issuesOf(document: SpecDocument): readonly SpecIssue[] {
  const header = document.value as {
    readonly apiVersion?: unknown;
    readonly kind?: unknown;
  } | null;
  const isMap = typeof header === 'object' && header !== null && !Array.isArray(header);
  if (!isMap || header.apiVersion !== API_VERSION || header.kind !== 'Host') {
    return [
      document.issue(isMap && header.apiVersion === API_VERSION ? ['kind'] : ['apiVersion'], {
        rule: 'AD2001',
        message: 'this is no Host document',
        remedy: `a Host file begins with \`apiVersion: ${API_VERSION}\` and \`kind: Host\``,
      }),
    ];
  }
  const broken = schemaIssues(document, validate);
  return broken.length > 0 ? broken : hostIssues(document);
}

function accept(document: SpecDocument): ReadHost {
  return { host: document.value as HostDocument, issues: null };
}

function refuse(issues: readonly SpecIssue[]): ReadHost {
  return { host: null, issues: listIssues(issues) };
}
