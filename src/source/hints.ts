/** File events as hints: something below the paths may have changed. Never the truth; a lost one costs a resync. */
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { watch } from 'chokidar';

/** A nap that file events end. */
export interface Hints {
  /** Resolves at an event (also one that came before), after the time, or when the signal aborts. */
  nap(ms: number, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** Watches the paths; of a single file, its directory. Errors of the watcher are reported once and cost only speed. */
export function watchPaths(paths: readonly string[], onError: (message: string) => void): Hints {
  let pending = false;
  let wake: () => void = () => undefined;
  let complained = false;
  const watcher = watch([...new Set(paths.map(directoryOf))], {
    ignoreInitial: true,
    followSymlinks: false,
    ignored: (path) => /\/\.git(\/|$)/.test(path),
  });
  watcher.on('all', () => {
    pending = true;
    wake();
  });
  watcher.on('error', (error) => {
    if (!complained) onError(String(error));
    complained = true;
  });
  return {
    nap: (ms, signal) =>
      new Promise((resolve) => {
        const timer = setTimeout(done, pending ? 0 : ms);
        function done(): void {
          clearTimeout(timer);
          signal.removeEventListener('abort', done);
          pending = false;
          wake = () => undefined;
          resolve();
        }
        wake = done;
        signal.addEventListener('abort', done);
        if (signal.aborted) done();
      }),
    close: () => watcher.close(),
  };
}

function directoryOf(path: string): string {
  try {
    return statSync(path).isDirectory() ? path : dirname(path);
  } catch {
    return dirname(path);
  }
}
