/** Becoming another program: same pid, the marked files, working standard streams. In a child, for it does not return. */
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';

const CODE = `
  const { become, inherit, memoryFile } = await import('./src/kernel/native/exec.ts');
  const { openSync } = await import('node:fs');
  const marked = openSync('package.json', 'r');
  const unmarked = openSync('package.json', 'r');
  inherit(marked);
  const text = memoryFile('x', 'in memory');
  process.stdout.write(process.pid + '\\n');
  become(['sh', '-c', process.argv[1]], {
    PATH: process.env.PATH, MARKED: marked, UNMARKED: unmarked, TEXT: text,
  });
`;

function run(script: string): { readonly lines: readonly string[]; readonly code: number | null } {
  const args = ['--import', 'tsx', '--input-type=module', '-e', CODE, script];
  const { stdout, status } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  return { lines: stdout.trim().split('\n'), code: status };
}

describe('become', () => {
  it('keeps the pid, the streams and the exit code', () => {
    const { lines, code } = run('echo $$; exit 7');
    expect(lines[1]).toBe(lines[0]);
    expect(code).toBe(7);
  });

  it('passes on the files that were marked, and no other', () => {
    const script =
      'head -c1 /proc/$$/fd/$MARKED; echo; test -e /proc/$$/fd/$UNMARKED || echo gone; cat /proc/$$/fd/$TEXT';
    expect(run(script).lines.slice(1)).toEqual(['{', 'gone', 'in memory']);
  });
});
