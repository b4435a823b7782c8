/** The daemon's settings file. Read once, at its start. Not here: what an option or the environment puts in its place. */
import { readSource, type SourceOptions } from '../source/files.ts';
import { pathIssue } from '../source/issues.ts';
import { SpecDocument } from '../spec/document.ts';
import { type IssueList, listIssues, type SpecIssue } from '../spec/issues.ts';
import { parseYaml } from '../spec/parse.ts';
import { schemaIssues } from '../spec/schema.ts';
import { decodeFile, FILE_BYTES_MAX } from '../spec/text.ts';
import type { SettingsDocument } from './settings-types.generated.ts';
import { validate } from './validate-settings.generated.ts';

/** Settings, or the problems that keep the file from being any. */
export type ReadSettings =
  | { readonly settings: SettingsDocument; readonly issues: null }
  | { readonly settings: null; readonly issues: IssueList };

/** Reads a settings file. `requirePrivate`: as for a config, a file that others can change is refused. Never throws. */
export function readSettings(
  path: string,
  options: Pick<SourceOptions, 'requirePrivate'>,
): ReadSettings {
  const { files, issues } = readSource([path], options);
  if (issues.length > 0) return refuse(issues);
  const [file, another] = files;
  if (file === undefined || another !== undefined) {
    const message = `${files.length} files are there, and the settings are one`;
    return refuse([pathIssue(path, 'AD2001', { message, remedy: 'give the path of the file' })]);
  }
  const decoded = decodeFile(file, FILE_BYTES_MAX);
  if (decoded.file === null) return refuse([decoded.issue]);
  const { documents, issues: problems } = parseYaml(decoded.file);
  if (problems.length > 0) return refuse(problems);
  const [document, second] = documents;
  if (document === undefined || second !== undefined) {
    const at = second ?? new SpecDocument(decoded.file, null, null);
    const message = `the file holds ${documents.length} documents, and the settings are one`;
    return refuse([at.issue([], { rule: 'AD2001', message, remedy: HEADER })]);
  }
  const broken = schemaIssues(document, validate);
  if (broken.length > 0) return refuse(broken);
  return { settings: document.value as SettingsDocument, issues: null };
}

const HEADER = 'settings begin with `apiVersion: autodomain.dev/v1alpha1` and `kind: Settings`';

function refuse(issues: readonly SpecIssue[]): ReadSettings {
  return { settings: null, issues: listIssues(issues) };
}
