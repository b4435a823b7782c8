/** pidfd_open(2): a file that names a process and not a number, and becomes readable when the process ends. */
import { closeSync } from 'node:fs';
import { type Fd, SyscallError } from '../port.ts';
import { errnoName } from '../uapi/errno.ts';
import { syscall } from './libc.ts';
import type { Poller } from './poll.ts';

/** include/uapi/asm-generic/unistd.h (v6.12); the number is the same on x86-64, arm64 and riscv64. C libraries before glibc 2.36 have no function for it. */
const PIDFD_OPEN = 434;

/** A file for a living process, closed on exec. Throws SyscallError: ESRCH (it is gone), EINVAL, EMFILE, ENOSYS (before Linux 5.3). */
export function openPidfd(pid: number): Fd {
  const fd = syscall(PIDFD_OPEN, pid, 0);
  if (fd < 0) throw new SyscallError('pidfd_open', errnoName(fd), `pid ${pid}`);
  return fd as Fd;
}

/** Calls `onEnd` once when the process behind the file ends, reaped or not, and closes the file. Returns how to stop waiting, which closes it too. */
export function watchExit(poller: Poller, pidfd: Fd, onEnd: () => void): () => void {
  let isOpen = true;
  const close = (): void => {
    if (isOpen) closeSync(pidfd);
    isOpen = false;
  };
  const unwatch = poller.watch(pidfd, () => {
    close();
    onEnd();
    return 'done';
  });
  return () => {
    unwatch();
    close();
  };
}
