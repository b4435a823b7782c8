// The C programs of the benchmarks: compiled when they are first needed, into a folder that goes away
// with this process.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compileC } from '../scripts/c-compiler.mjs';

let folder = null;

/** A folder for the files of this run. */
export function workFolder() {
  if (folder === null) {
    folder = mkdtempSync(join(tmpdir(), 'autodomain-bench-'));
    process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  }
  return folder;
}

/** Compiles bench/c/NAME.c and returns a function that runs it and gives what it printed. */
export function cProgram(name) {
  const program = join(workFolder(), name);
  compileC(fileURLToPath(new URL(`c/${name}.c`, import.meta.url)), program);
  return (...args) => execFileSync(program, args, { encoding: 'utf8' });
}
