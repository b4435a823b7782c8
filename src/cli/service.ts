/** `watch` as a service on the running kernel: journal, kept files, and what the service manager is told. In a model nothing outlives. */
import { formatErrorChain } from '../base/errors.ts';
import { type DurableHost, openDurableHost, tell } from '../daemon/durable.ts';
import { watchdogMs } from '../daemon/notify.ts';
import { runDirectory } from '../daemon/run-directory.ts';
import { type ManagedHost, observeHost } from '../engine/host.ts';
import type { Io } from './io.ts';
import type { OpenedHost } from './machine.ts';
import { systemClock } from './system-clock.ts';

/** How a daemon is. `busy`: its own calls are in the kernel, and a look at the host could wait for their locks. */
export type Wellness = 'idle' | 'busy' | 'unwell';

/** A daemon's frame. */
export interface Service {
  readonly host: ManagedHost;
  /** True: what is held stays open without this process, and is not let go at its end. */
  readonly outlives: boolean;
  /** Says that the daemon is up, and from now on that it is well as long as `wellness` and the host's answers are. */
  ready(wellness: () => Wellness): Promise<void>;
  /** Says that the end has begun. */
  stopping(): Promise<void>;
}

/** Opens the durable host and says what was found, and what will be lost when. The caller has the lock. Throws `daemon-config` (78). */
export async function openService(opened: OpenedHost, io: Io): Promise<Service> {
  if (opened.document !== null) return withoutManager(opened);
  const { unixCalls } = await import('../kernel/native/unix.ts');
  const durable = await openDurableHost({
    runDir: runDirectory(io.env),
    env: io.env,
    pid: io.pid,
    syscalls: opened.syscalls,
    calls: unixCalls,
    clock: systemClock(),
    host: opened,
  });
  for (const note of durable.notes) io.stderr(`${note}\n`);
  return serviceOf(durable, io);
}

function withoutManager(host: ManagedHost): Service {
  return {
    host,
    outlives: false,
    ready: async () => undefined,
    stopping: async () => undefined,
  };
}

/** The frame around a durable host. Public for tests. */
export function serviceOf({ host, manager, outlives }: DurableHost, io: Io): Service {
  const say = (...lines: readonly string[]): Promise<void> =>
    tell(manager, lines, (text) => io.stderr(`${text}\n`));
  let timer: NodeJS.Timeout | null = null;
  return {
    host,
    outlives,
    async ready(wellness) {
      await say('READY=1', 'STATUS=following the config');
      const everyMs = watchdogMs(io.env, io.pid);
      if (everyMs === null) return;
      timer = setInterval(() => {
        const now = wellness();
        if (now === 'busy' || (now === 'idle' && canObserve(host, io))) void say('WATCHDOG=1');
      }, everyMs);
    },
    async stopping() {
      if (timer !== null) clearInterval(timer);
      await say('STOPPING=1');
      if (outlives && host.journal.contexts().length > 0) {
        io.stderr(
          'what is held stays open in the service manager: a start finds it as it is, a stop closes it\n',
        );
      }
    },
  };
}

/** Where the host cannot be seen the manager hears nothing, and in the end starts another process. */
function canObserve(host: ManagedHost, io: Io): boolean {
  try {
    observeHost(host);
    return true;
  } catch (error) {
    io.stderr(`the host cannot be observed: ${formatErrorChain(error)}\n`);
    return false;
  }
}
