/** Every script under test/scripts is run, a line a command, and must print what test/golden holds. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { run } from './run.ts';

const here = process.cwd();
const scripts = readdirSync('test/scripts');
let work = '';

afterEach(() => {
  process.chdir(here);
  rmSync(work, { recursive: true, force: true });
});

describe.each(scripts)('%s', (script) => {
  it('prints what is written down', async () => {
    const lines = readFileSync(join('test/scripts', script), 'utf8').split('\n').filter(Boolean);
    work = mkdtempSync(join(tmpdir(), 'autodomain-cli-'));
    cpSync('examples', join(work, 'examples'), { recursive: true });
    cpSync('test/cases', join(work, 'cases'), { recursive: true });
    process.chdir(work);
    const out: string[] = [];
    for (const line of lines) {
      if (line.startsWith('#')) continue;
      const { code, stdout, stderr } = await run(line.split(' '));
      const text = `${stdout}${stderr}`.replaceAll(work, '.');
      out.push(`$ autodomain ${line}\n${text}exit ${code}\n`);
    }
    await expect(out.join('\n')).toMatchFileSnapshot(resolve(here, 'test/golden', script));
  });
});
