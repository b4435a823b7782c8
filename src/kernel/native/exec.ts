/**
 * execve(2): this process becomes another program, with the same pid and the files that were marked.
 * Node can only start children, and a child in between would be one process more to watch.
 */
import { writeSync } from 'node:fs';
import koffi from 'koffi';
import { type Fd, SyscallError } from '../port.ts';
import { errnoName } from '../uapi/errno.ts';

const libc = koffi.load(null);
const execvpe = libc.func('int execvpe(const char *file, const char **argv, const char **envp)');
const fcntl = libc.func('int fcntl(int fd, int command, long argument)');
const memfdCreate = libc.func('int memfd_create(const char *name, unsigned int flags)');
const signal = libc.func('intptr_t signal(int number, intptr_t handler)');

const F_SETFD = 2;
const F_GETFL = 3;
const F_SETFL = 4;
const O_NONBLOCK = 0o4000;
const SIGPIPE = 13;
const SIG_DFL = 0;

/** The program that this process becomes gets the file. Throws SyscallError. */
export function inherit(fd: Fd): void {
  if (fcntl(fd, F_SETFD, 0) !== 0) fail('fcntl', `fd ${fd}`);
}

/** A file in memory that the next program inherits; it is at `/proc/self/fd/N`. Throws SyscallError. */
export function memoryFile(name: string, text: string): Fd {
  const fd = memfdCreate(name, 0) as number;
  if (fd < 0) fail('memfd_create', name);
  writeSync(fd, text, 0);
  return fd as Fd;
}

/** Becomes the program, which is looked for in PATH. Returns only by throwing SyscallError: ENOENT, EACCES, E2BIG. */
export function become(
  [file, ...args]: readonly [string, ...string[]],
  env: Readonly<Record<string, string | undefined>>,
): never {
  // Node ignores SIGPIPE, and what is ignored stays so.
  signal(SIGPIPE, SIG_DFL);
  for (const stdio of [0, 1, 2]) {
    // Node closes its standard streams on exec, and makes pipes among them non-blocking.
    fcntl(stdio, F_SETFD, 0);
    fcntl(stdio, F_SETFL, (fcntl(stdio, F_GETFL, 0) as number) & ~O_NONBLOCK);
  }
  const pairs = Object.entries(env).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${value}`],
  );
  execvpe(file, [file, ...args, null], [...pairs, null]);
  return fail('execve', file);
}

function fail(syscall: string, on: string): never {
  throw new SyscallError(syscall, errnoName(koffi.errno()), on);
}
