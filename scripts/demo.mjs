// The main job on a simulated host, as a user would type it: each command, then what it prints.
// No network, no privilege, no koffi; the output is the same every time.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const work = mkdtempSync(join(tmpdir(), 'autodomain-demo-'));

if (!existsSync(join(root, 'dist/cli/bin.js'))) spawnSync('npm', ['run', 'build'], { cwd: root });
cpSync(join(root, 'examples/demo'), work, { recursive: true });

try {
  say('A directory of YAML says which devices belong to which container.');
  show('config/vm-blue.yaml');
  run(0, 'validate', 'config');
  say('What would be done on that host, and why:');
  run(0, 'plan', 'config', '--host', 'host.yaml');
  say('Do it, in the model of the host, and keep the result:');
  run(0, 'apply', 'config', '--host', 'host.yaml', '--host-out', 'host.yaml', '--quiet');
  run(0, 'graph', '--host', 'host.yaml');
  say('The same files again:');
  run(0, 'plan', 'config', '--host', 'host.yaml');
  say('An edit: vm-red now requires dirty tracking. Allocate, replace, destroy; no detach.');
  edit('config/vm-red.yaml', 'spec:\n', 'spec:\n  dirtyTracking: { mode: required }\n');
  run(0, 'plan', 'config', '--host', 'host.yaml');
  run(0, 'apply', 'config', '--host', 'host.yaml', '--host-out', 'host.yaml', '--quiet');
  say('A mistake in an edit is found before anything is touched:');
  edit('config/vm-red.yaml', 'mode: required', 'mode: requird');
  run(3, 'apply', 'config', '--host', 'host.yaml');
} finally {
  rmSync(work, { recursive: true, force: true });
}

function say(text) {
  process.stdout.write(`\n# ${text}\n`);
}

function show(file) {
  process.stdout.write(`$ cat ${file}\n${readFileSync(join(work, file), 'utf8')}\n`);
}

function edit(file, from, to) {
  const path = join(work, file);
  const text = readFileSync(path, 'utf8');
  if (!text.includes(from)) throw new Error(`${file} has no ${from}`);
  writeFileSync(path, text.replace(from, to));
}

function run(expected, ...args) {
  process.stdout.write(`$ autodomain ${args.join(' ')}\n`);
  const result = spawnSync(process.execPath, [join(root, 'bin/autodomain.cjs'), ...args], {
    cwd: work,
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
  });
  process.stdout.write(result.stdout + result.stderr);
  process.stdout.write(result.status === 0 ? '\n' : `(exit ${result.status})\n\n`);
  if (result.status !== expected) {
    process.stderr.write(`expected exit ${expected}, got ${result.status}\n`);
    process.exit(1);
  }
}
