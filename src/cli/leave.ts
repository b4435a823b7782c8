/**
 * The one way out of the process. libuv waits at exit for calls that are in the kernel, and a reset
 * that never ends would keep the process for ever; so once the streams are flushed, libc's `_exit`
 * ends it. Where the native port was never loaded, there is nothing to wait for.
 */

let exitNow: (code: number) => never = (code) => process.exit(code);

/** Says that calls may be in the kernel at exit, and how to end the process in spite of them. */
export function setExit(exit: (code: number) => never): void {
  exitNow = exit;
}

/** Flushes both streams and ends the process. */
export function leave(code: number): void {
  process.stdout.write('', () => {
    process.stderr.write('', () => exitNow(code));
  });
}
