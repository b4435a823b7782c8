/** The settings file: what is taken, what is refused and where. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { DEFAULT_TIMING } from '../../src/daemon/loop.ts';
import { type ReadSettings, readSettings } from '../../src/daemon/settings.ts';

const work = mkdtempSync(join(tmpdir(), 'autodomain-settings-'));
const HEADER = 'apiVersion: autodomain.dev/v1alpha1\nkind: Settings\n';

afterAll(() => {
  rmSync(work, { recursive: true, force: true });
});

function read(text: string): ReadSettings {
  const path = join(work, 'settings.yaml');
  writeFileSync(path, text, { mode: 0o644 });
  return readSettings(path, { requirePrivate: false });
}

function problems({ issues }: ReadSettings): readonly string[] {
  return (issues?.issues ?? []).map(
    ({ line, column, rule, message }) => `${line}:${column} ${rule} ${message}`,
  );
}

describe('settings', () => {
  it('are what the file says, and nothing else is filled in', () => {
    const { settings } = read(
      `${HEADER}paths: [/a, /b]\nsocket: { group: staff }\ntiming: { settleMs: 0 }\n`,
    );
    expect(settings).toEqual({
      apiVersion: 'autodomain.dev/v1alpha1',
      kind: 'Settings',
      paths: ['/a', '/b'],
      socket: { group: 'staff' },
      timing: { settleMs: 0 },
    });
  });

  it.each([
    ['a word that is not there', 'drfit: report', '3:1 AD2002 unknown key `drfit`'],
    ['a relative path', 'paths: [config]', '3:9 AD2006 "config" is not a valid `paths[0]`'],
    ['no path', 'paths: []', '3:8 AD2007'],
    ['a time below its bound', 'timing: { resyncMs: 0 }', '3:21 AD2007'],
    ['a time as text', 'timing: { resyncMs: "1s" }', '3:21 AD2003'],
    ['a policy that is none', 'drift: ignore', '3:8 AD2005 "ignore" is not allowed for `drift`'],
    ['a path as a file name', 'readyFile: ../x', '3:12 AD2006'],
    ['a key twice', 'drift: report\ndrift: correct', '4:1 AD1007'],
    ['an alias', 'drift: &a report\nwatch: *a', 'AD1008'],
  ])('refuse %s', (_what, text, says) => {
    const found = problems(read(`${HEADER}${text}\n`));
    expect(found.length).toBeGreaterThan(0);
    expect(found.join('\n')).toContain(says);
  });

  it('refuse what is no settings document, or more than one', () => {
    expect(problems(read('')).join()).toContain('1:1 AD2001 the file holds 0 documents');
    expect(problems(read(`${HEADER}---\n${HEADER}`)).join()).toContain('4:1 AD2001');
    expect(problems(read('kind: Container\n')).join('\n')).toContain('1:7 AD2005');
    writeFileSync(join(work, 'more.yaml'), HEADER);
    expect(problems(readSettings(work, { requirePrivate: false })).join()).toContain(
      'AD2001 2 files',
    );
  });

  it('are not taken from a file that others can write', () => {
    const path = join(work, 'open.yaml');
    writeFileSync(path, HEADER);
    chmodSync(path, 0o666);
    expect(problems(readSettings(path, { requirePrivate: true })).join()).toContain('AD1013');
    chmodSync(path, 0o644);
    expect(readSettings(path, { requirePrivate: true }).issues).toBeNull();
  });

  it('ship with an example that is valid and whose comments are the defaults', () => {
    const text = readFileSync('packaging/autodomain.yaml', 'utf8');
    expect(read(text).issues).toBeNull();
    const { settings } = read(text.replace(/^# ( *)([a-zA-Z]+:(?: [a-z0-9]+)?)$/gm, '$1$2'));
    expect(settings?.timing).toEqual(DEFAULT_TIMING);
    expect(settings).toMatchObject({ drift: 'correct', watch: 'auto' });
    expect(settings?.log).toEqual({ level: 'info', format: 'auto' });
  });
});
