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
import { isDeepStrictEqual } from 'node:util';
import { nativeSyscalls } from '../../dist/kernel/native/syscalls.js';
import { observe } from '../../dist/kernel/observe.js';
import { SyscallError } from '../../dist/kernel/port.js';
import { Machine } from '../../dist/kernel/sim/machine.js';
import { cProgram, workFolder } from '../c-program.mjs';
import { cpuMs } from '../cpu.mjs';
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
  for (const top of ['/sys', '/proc', '/dev']) copy(syscalls, root, top, top);
  const native = nativeSyscalls({ root });
  const list = join(workFolder(), 'observe.list');
  const reads = [];
  const seen = observe(listed(native, root, reads), OPTIONS);
  const modelled = observe(syscalls, OPTIONS);
  for (const facts of ['devices', 'groups', 'iommus', 'unreadable'])
    if (!isDeepStrictEqual(seen[facts], modelled[facts]))
      throw new Error(`the copy shows other ${facts} than the simulator`);
  writeFileSync(list, reads.map((line) => `${line}\n`).join(''));
  prepared = { native, list, c: cProgram('observe') };
  return prepared;
}

/**
 * Copies what the simulator shows at `path` to where it really is. What a link leads to is copied to
 * where the link points: the simulator has no /sys/devices of its own.
 */
function copy(syscalls, root, path, real) {
  const target = answer(() => syscalls.readLink(path));
  if (target !== null && !existsSync(root + real)) symlinkSync(target, root + real);
  const to = target === null ? real : join(dirname(real), target);
  const names = answer(() => syscalls.readDir(path));
  if (names === null) {
    const text = target === null ? answer(() => syscalls.readText(path)) : null;
    if (text !== null) writeFileSync(root + to, text);
    return;
  }
  if (existsSync(root + to) && target !== null) return;
  mkdirSync(root + to, { recursive: true });
  for (const name of names) copy(syscalls, root, `${path}/${name}`, `${to}/${name}`);
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
    what: `CPU of a cold observation of ${COUNT} functions in a tmpfs`,
    against: 'C that makes the same reads',
    async measure() {
      const { native, list, c } = prepare();
      const [us] = c(list).split(' ');
      return { baseline: Number(us) / 1000, value: await cpuMs(() => observe(native, OPTIONS)) };
    },
  },
];
