/** The port with a line for every call that is not a mere read: what was asked, what came back, how long it took. */
import type { Clock } from '../base/clock.ts';
import { formatHex } from '../base/iova.ts';
import { type Fd, type IoctlArg, SyscallError, type Syscalls } from './port.ts';
import { decode } from './struct.ts';
import type { ErrnoName } from './uapi/errno.ts';
import { opOf } from './uapi/index.ts';

/** Wraps the port. `sink` gets one line a call; buffers behind pointers appear as lengths, never as memory. */
export function traced(syscalls: Syscalls, clock: Clock, sink: (line: string) => void): Syscalls {
  const around = <T>(what: string, work: () => T, outcome: () => string = () => ''): T => {
    const start = clock.now();
    try {
      const result = work();
      sink(`${what} = ${String(result)}${outcome()} <${clock.now() - start} ms>`);
      return result;
    } catch (error) {
      sink(`${what} = ${failureOf(error)} <${clock.now() - start} ms>`);
      throw error;
    }
  };
  const aroundSlow = async <T>(
    what: string,
    work: () => Promise<T>,
    outcome: () => string = () => '',
  ): Promise<T> => {
    const start = clock.now();
    try {
      const result = await work();
      const value = result === undefined ? '0' : String(result);
      sink(`${what} = ${value}${outcome()} <${clock.now() - start} ms>`);
      return result;
    } catch (error) {
      sink(`${what} = ${failureOf(error)} <${clock.now() - start} ms>`);
      throw error;
    }
  };
  return {
    ...syscalls,
    open: (path) => around(`open(${path})`, () => syscalls.open(path)),
    ioctl: (fd, request, arg) => {
      const call = new TracedIoctl(fd, request, arg);
      const work = (): number => named(call, () => syscalls.ioctl(fd, request, arg));
      return around(call.text, work, () => call.changes());
    },
    writeAt: (fd, offset, bytes) =>
      around(`pwrite(${fd}, ${formatHex(offset)}, ${bytes.length} bytes)`, () =>
        syscalls.writeAt(fd, offset, bytes),
      ),
    slow: {
      ioctl: (fd, request, arg) => {
        const call = new TracedIoctl(fd, request, arg);
        const work = async (): Promise<number> => {
          try {
            return await syscalls.slow.ioctl(fd, request, arg);
          } catch (error) {
            throw withCause(call, error);
          }
        };
        return aroundSlow(call.text, work, () => call.changes());
      },
      close: (fd) => aroundSlow(`close(${fd})`, () => syscalls.slow.close(fd)),
      writeText: (path, text) =>
        aroundSlow(`write(${path}, ${JSON.stringify(text)})`, () =>
          syscalls.slow.writeText(path, text),
        ),
    },
  };
}

function named<T>(call: TracedIoctl, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw withCause(call, error);
  }
}

const causes = new WeakMap<SyscallError, string>();

/** Remembers the likely cause of a refusal beside the error, which goes on unchanged. */
function withCause(call: TracedIoctl, error: unknown): unknown {
  if (error instanceof SyscallError) causes.set(error, call.causeOf(error.errno));
  return error;
}

function failureOf(error: unknown): string {
  if (!(error instanceof SyscallError)) return String(error);
  return `${error.errno}${causes.get(error) ?? ''}`;
}

class TracedIoctl {
  readonly text: string;
  readonly #arg: IoctlArg;
  readonly #op: ReturnType<typeof opOf>;
  readonly #before: Readonly<Record<string, number | bigint>>;

  constructor(fd: Fd, request: number, arg: IoctlArg) {
    this.#arg = arg;
    this.#op = opOf(request);
    this.#before = this.#fields();
    const name = this.#op?.name ?? `ioctl ${formatHex(BigInt(request))}`;
    const buffers = arg.pointers.map(({ target }) => `[${target.length} bytes]`);
    this.text = `${name}(fd ${fd}, {${[...formatFields(this.#before), ...buffers].join(', ')}})`;
  }

  /** The fields that the kernel changed. */
  changes(): string {
    const changed = Object.entries(this.#fields()).filter(
      ([name, value]) => this.#before[name] !== value,
    );
    return changed.length === 0 ? '' : ` {${formatFields(Object.fromEntries(changed)).join(', ')}}`;
  }

  causeOf(errno: string): string {
    const why = this.#op?.errnos[errno as ErrnoName];
    return why === undefined ? '' : ` (${why.cause})`;
  }

  #fields(): Readonly<Record<string, number | bigint>> {
    return this.#op === null ? {} : decode(this.#op.struct, this.#arg.bytes);
  }
}

/** Fields that carry something; lengths of the struct and reserved fields say nothing. */
function formatFields(fields: Readonly<Record<string, number | bigint>>): readonly string[] {
  return Object.entries(fields)
    .filter(
      ([name, value]) => !/^(size|argsz|__reserved.*|pad)$/.test(name) && BigInt(value) !== 0n,
    )
    .map(([name, value]) => `${name}=${typeof value === 'bigint' ? formatHex(value) : value}`);
}
