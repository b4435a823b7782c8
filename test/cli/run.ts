/** The command line in this process, with captured streams. */
import type { Io } from '../../src/cli/io.ts';
import { main } from '../../src/cli/main.ts';

/** What a command line printed and how it ended. */
export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command line. */
export async function run(argv: readonly string[], more: Partial<Io> = {}): Promise<Ran> {
  let stdout = '';
  let stderr = '';
  const code = await main(argv, {
    stdout: (text) => {
      stdout += text;
    },
    stderr: (text) => {
      stderr += text;
    },
    ask: async () => null,
    env: {},
    isTerminal: { stdin: false, stdout: false },
    signal: new AbortController().signal,
    pid: 4242,
    ...more,
  });
  return { code, stdout, stderr };
}
