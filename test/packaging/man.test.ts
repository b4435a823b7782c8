/** The manual pages: every verb, every field, and nothing that troff objects to. Needs dist. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { COMMANDS } from '../../src/cli/commands/index.ts';

const PAGES = ['dist/man/autodomain.1', 'dist/man/autodomain.5'];

beforeAll(() => {
  execFileSync(process.execPath, ['scripts/man.mjs']);
}, 120_000);

describe('the pages', () => {
  it('have every verb with its options', () => {
    const text = readFileSync('dist/man/autodomain.1', 'utf8');
    for (const { name } of COMMANDS) expect(text).toContain(`.SS ${name}\n`);
    expect(text).toContain('.B \\-\\-settings <file>\n');
    expect(text).not.toContain('undefined');
  });

  it('have every setting, and whether a field is required', () => {
    const text = readFileSync('dist/man/autodomain.5', 'utf8');
    for (const path of ['paths[]', 'timing.settleMs', 'log.level', 'metadata.name *']) {
      expect(text).toContain(`.B ${path}\n`);
    }
    expect(text).not.toContain('undefined');
  });

  it.each(PAGES)('%s has no line that is taken for an unknown request', (page) => {
    const requests = readFileSync(page, 'utf8').match(/^[.'].*$/gm) ?? [];
    const known = /^\.(TH|SH|SS|TP|PP|B|I|nf|fi|\\")( |$)/;
    expect(requests.filter((line) => !known.test(line))).toEqual([]);
    // man(1) is not on every machine; where it is, it must have nothing to say.
    const { error, stderr } = spawnSync('groff', ['-man', '-ww', '-z', page], { encoding: 'utf8' });
    if (error === undefined) expect(stderr).toBe('');
  });
});
