/** What `watch --settings` comes to: option, then environment, then file, then default. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { declareHost } from '../../src/cli/options.ts';
import { declareServe, type ServeOptions } from '../../src/cli/serve.ts';
import { declareSettings, type SettingsOption, settingsOf } from '../../src/cli/settings.ts';
import { defineVerb, type Verb, wholeNumber } from '../../src/cli/verb.ts';
import { run } from './run.ts';

const work = mkdtempSync(join(tmpdir(), 'autodomain-settings-'));
const file = join(work, 'settings.yaml');
const HEADER = 'apiVersion: autodomain.dev/v1alpha1\nkind: Settings\n';

afterEach(() => {
  vi.unstubAllEnvs();
});

afterAll(() => {
  rmSync(work, { recursive: true, force: true });
});

interface Acted {
  readonly paths: readonly string[];
  readonly options: ServeOptions & SettingsOption & { readonly settle: number };
}

/** What a verb with the options of `watch` would act on. */
async function actOn(
  settings: string,
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Acted> {
  writeFileSync(file, `${HEADER}${settings}`);
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  const acted: Acted[] = [];
  const verb: Verb = defineVerb<Acted['options']>({
    name: 'watch',
    summary: '',
    examples: [],
    declare(command) {
      declareSettings(declareServe(declareHost(command.argument('[path...]')))).option(
        '--settle <ms>',
        '',
        wholeNumber(0),
        500,
      );
    },
    fallback: settingsOf,
    async act(paths, options) {
      acted.push({ paths, options });
      return 0;
    },
  });
  const io = { env, stdout: () => undefined, stderr: () => undefined };
  await verb.run(['--settings', file, ...argv], io as unknown as Parameters<Verb['run']>[1]);
  const [only] = acted;
  if (only === undefined) throw new Error('it did not act');
  return only;
}

describe('what stands', () => {
  const text =
    'paths: [/a]\ntiming: { settleMs: 7 }\nlog: { level: warn }\nsocket: { path: /s, group: staff }\n';

  it('is the file, where nobody else says anything', async () => {
    const { paths, options } = await actOn(text, []);
    expect(paths).toEqual(['/a']);
    expect(options).toMatchObject({
      settle: 7,
      logLevel: 'warn',
      socket: '/s',
      socketGroup: 'staff',
    });
  });

  it('is the default, where the file says nothing', async () => {
    const { paths, options } = await actOn('', []);
    expect(paths).toEqual([]);
    expect(options).toMatchObject({ settle: 500, logLevel: 'info', logFormat: 'auto' });
    expect(options.socket).toBeUndefined();
  });

  it('is the environment before the file', async () => {
    const env = {
      AUTODOMAIN_LOG_LEVEL: 'error',
      AUTODOMAIN_SOCKET: '/env',
      AUTODOMAIN_SOCKET_GROUP: 'wheel',
    };
    const { options } = await actOn(text, [], env);
    expect(options).toMatchObject({ logLevel: 'error', socket: '/env', socketGroup: 'wheel' });
  });

  it('is the command line before both, also where it says what is the default', async () => {
    const argv = ['/b', '--settle', '500', '--log-level', 'info', '--socket', '/cli'];
    const { paths, options } = await actOn(text, argv, { AUTODOMAIN_LOG_LEVEL: 'error' });
    expect(paths).toEqual(['/b']);
    expect(options).toMatchObject({ settle: 500, logLevel: 'info', socket: '/cli' });
  });
});

describe('a file that is not valid', () => {
  it('ends watch with 78 and every place', async () => {
    writeFileSync(file, `${HEADER}drift: never\nlog: { level: loud }\n`);
    const { code, stderr } = await run([
      'watch',
      '--settings',
      file,
      '--host',
      'test/cases/host.yaml',
    ]);
    expect(code).toBe(78);
    expect(stderr).toContain(`${file}:3:8: error AD2005`);
    expect(stderr).toContain(`${file}:4:15: error AD2005`);
  });
});
