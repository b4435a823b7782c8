// A watching daemon on a model, as a process of its own: started, heard, and ended.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const bin = fileURLToPath(new URL('../bin/autodomain.cjs', import.meta.url));

/** Starts `watch` on a Host document with a config as text. */
export function watching(host, config, ...options) {
  const folder = mkdtempSync(join(tmpdir(), 'autodomain-bench-'));
  const source = join(folder, 'config');
  mkdirSync(source);
  const write = (text) => writeFileSync(join(source, 'config.yaml'), text);
  write(config);
  writeFileSync(join(folder, 'host.json'), JSON.stringify(host));
  const words = [bin, 'watch', source, '--host', join(folder, 'host.json'), ...options];
  const heard = hearing(spawn(process.execPath, words, { stdio: ['ignore', 'ignore', 'pipe'] }));
  const end = async () => {
    await heard.end();
    rmSync(folder, { recursive: true, force: true });
  };
  return { ...heard, source, write, end };
}

/** What a process says on stderr. `says` resolves to the time at which it has said the words after `from`. */
export function hearing(child) {
  let text = '';
  let onText = () => undefined;
  child.stderr.on('data', (chunk) => {
    text += chunk;
    onText();
  });
  const ended = new Promise((resolve) => child.on('exit', resolve));
  return {
    pid: child.pid,
    length: () => text.length,
    says: (words, from = 0) =>
      new Promise((resolve, reject) => {
        onText = () => {
          if (text.indexOf(words, from) !== -1) resolve(performance.now());
        };
        onText();
        void ended.then(() => reject(new Error(`it ended without '${words}':\n${text}`)));
      }),
    async end() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
