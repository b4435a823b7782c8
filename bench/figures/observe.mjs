// What a cold observation of a large host costs, beside C that reads the same. The tree is a copy of the
// simulator's sysfs in tmpfs: real files, real system calls, without the cost of the kernel's own sysfs.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { nativeSyscalls } from '../../dist/kernel/native/syscalls.js';
import { observe } from '../../dist/kernel/observe.js';
import { SyscallError } from '../../dist/kernel/port.js';
import { Machine } from '../../dist/kernel/sim/machine.js';
import { cProgram, workFolder } from '../c-program.mjs';
import { largeHost } from '../host.mjs';

const COUNT = 2048;
const OPTIONS = { ownPid: 0, held: [], known: { iommus: new Map(), tracking: new Map() } };
let prepared = null;

function prepare() {
  if (prepared !== null) return prepared;
  if (!existsSync('/dev/shm')) throw new Error('observe-2048 needs a tmpfs on /dev/shm');
  const root = realpathSync(mkdtempSync('/dev/shm/autodomain-bench-'));
  process.on('exit', () => rmSync(root, { recursive: true, force: true }));
  const clock = { now: () => performance.now(), sleep: async () => undefined };
  const { syscalls } = new Machine(largeHost(COUNT), { clock });
  for (const top of ['/sys', '/proc', '/dev']) copy(syscalls, root, top);
  const native = nativeSyscalls({ root });
  const list = join(workFolder(), 'observe.list');
  const reads = [];
  const seen = observe(listed(native, root, reads), OPTIONS);
  if (seen.devices.length < COUNT || seen.unreadable.length > 0)
    throw new Error(`the copy shows ${seen.devices.length} devices`);
  writeFileSync(list, reads.map((line) => `${line}\n`).join(''));
  prepared = { native, list, c: cProgram('observe') };
  return prepared;
}

/** Copies a tree of the simulator: directories, texts and links as they are. */
function copy(syscalls, root, path) {
  const target = answer(() => syscalls.readLink(path));
  if (target !== null) {
    mkdirSync(dirname(root + path), { recursive: true });
    symlinkSync(target, root + path);
    return;
  }
  const names = answer(() => syscalls.readDir(path));
  if (names !== null) {
    mkdirSync(root + path, { recursive: true });
    for (const name of names) copy(syscalls, root, `${path}/${name}`);
    return;
  }
  const text = answer(() => syscalls.readText(path));
  if (text !== null) writeFileSync(root + path, text);
}

function answer(ask) {
  try {
    return ask();
  } catch (error) {
    if (error instanceof SyscallError) return null;
    throw error;
  }
}

/** The port, noting each read for the program in C. */
function listed(native, root, reads) {
  const noting =
    (letter, work) =>
    (path, ...rest) => {
      reads.push(`${letter} ${root}${path}`);
      return work(path, ...rest);
    };
  return {
    ...native,
    readText: noting('f', native.readText),
    readDir: noting('d', native.readDir),
    readLink: noting('l', native.readLink),
    realPath: noting('r', native.realPath),
    stat: noting('s', native.stat),
  };
}

export const figures = [
  {
    id: 'observe-2048',
    unit: 'ms',
    n: 9,
    what: `a cold observation of ${COUNT} functions in a tmpfs`,
    against: 'C that makes the same reads',
    async measure() {
      const { native, list, c } = prepare();
      const [us] = c(list).split(' ');
      const start = performance.now();
      observe(native, OPTIONS);
      return { baseline: Number(us) / 1000, value: performance.now() - start };
    },
  },
];
