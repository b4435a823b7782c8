/** The process: streams and signals for `main`, and the one way out. */
import { createInterface } from 'node:readline/promises';
import { leave } from './leave.ts';
import { main } from './main.ts';

const controller = new AbortController();
const SIGNAL_CODES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

// A reader that went away (`| head`, a closed terminal) must not end a process that holds devices.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);

for (const name of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    if (controller.signal.aborted) leave(SIGNAL_CODES[name]);
    controller.abort(name);
  });
}

leave(
  await main(process.argv.slice(2), {
    stdout: (text) => void process.stdout.write(text),
    stderr: (text) => void process.stderr.write(text),
    async ask(question) {
      if (!process.stdin.isTTY) return null;
      const prompt = createInterface({ input: process.stdin, output: process.stderr });
      const answer = await prompt.question(question, { signal: controller.signal }).catch(() => '');
      prompt.close();
      return answer;
    },
    env: process.env,
    isTerminal: { stdin: process.stdin.isTTY === true, stdout: process.stdout.isTTY === true },
    signal: controller.signal,
    pid: process.pid,
  }),
);
