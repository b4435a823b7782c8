/**
 * What the daemon says to its service manager, by sd_notify(3)'s protocol: datagrams to NOTIFY_SOCKET. Not here:
 * which files it keeps for us (fd-store.ts). Without a manager nothing is said.
 */
import type { Clock } from '../base/clock.ts';
import { type Fd, SyscallError } from '../kernel/port.ts';
import type { UnixCalls } from '../kernel/unix-port.ts';

/** How long a busy manager is waited for, in milliseconds; a reload of all its units takes seconds. */
const PATIENCE_MS = 30_000;
const POLL_MS_MAX = 16;

/** The service manager that started us. */
export class ServiceManager {
  readonly #calls: UnixCalls;
  readonly #clock: Clock;
  readonly #address: string;
  readonly #socket: Fd;

  /** `address`: the value of NOTIFY_SOCKET, a path or `@name`. */
  constructor(calls: UnixCalls, clock: Clock, address: string) {
    this.#calls = calls;
    this.#clock = clock;
    this.#address = address;
    this.#socket = calls.socket('datagram');
  }

  get calls(): UnixCalls {
    return this.#calls;
  }

  /** Sends assignments, one a line. Throws SyscallError: ETIMEDOUT where the manager takes nothing for 30 s. */
  async send(lines: readonly string[], fds: readonly Fd[] = []): Promise<void> {
    const bytes = new TextEncoder().encode(`${lines.join('\n')}\n`);
    await this.#until('sendmsg', () => {
      try {
        this.#calls.sendWithFds(this.#socket, bytes, fds, this.#address);
        return true;
      } catch (error) {
        if (error instanceof SyscallError && error.errno === 'EAGAIN') return false;
        throw error;
      }
    });
  }

  /** Resolves once the manager has dealt with all that was sent before: it closes the pipe that it was sent. Throws SyscallError: ETIMEDOUT after 30 s. */
  async barrier(): Promise<void> {
    const [readEnd, writeEnd] = this.#calls.pipe();
    try {
      try {
        await this.send(['BARRIER=1'], [writeEnd]);
      } finally {
        this.#calls.close(writeEnd);
      }
      await this.#until('barrier', () => this.#calls.isHungUp(readEnd));
    } finally {
      this.#calls.close(readEnd);
    }
  }

  async #until(what: string, isDone: () => boolean): Promise<void> {
    const start = this.#clock.now();
    for (let delay = 1; !isDone(); delay = Math.min(delay * 2, POLL_MS_MAX)) {
      if (this.#clock.now() - start > PATIENCE_MS) {
        throw new SyscallError(what, 'ETIMEDOUT', `the service manager at ${this.#address}`);
      }
      await this.#clock.sleep(delay);
    }
  }
}

/** How often the watchdog is to be pinged, in milliseconds: half of what the manager allows us; null: it watches nobody, or another process. */
export function watchdogMs(
  env: Readonly<Record<string, string | undefined>>,
  pid: number,
): number | null {
  const allowed = Number(env['WATCHDOG_USEC']);
  const isOurs = (env['WATCHDOG_PID'] ?? String(pid)) === String(pid);
  return isOurs && allowed > 0 ? Math.max(1, Math.floor(allowed / 2000)) : null;
}
