/** One implementation of the port that a sequence runs on: its open files, the ids it gave out, its answers as text. */
import { encode, KernelError } from '../../../src/kernel/call.ts';
import { type Fd, SyscallError, type Syscalls } from '../../../src/kernel/port.ts';
import { decode, type FieldsIn, type Struct } from '../../../src/kernel/struct.ts';
import { HW_CAP_DIRTY_TRACKING } from '../../../src/kernel/uapi/iommufd.ts';
import {
  type AccessRef,
  type BufferSpec,
  FUZZ_OPS,
  type FuzzCall,
  type IdKind,
  type IdRef,
  type IoctlCall,
} from './calls.ts';

/** What a side is given. */
export interface SideSetup {
  readonly syscalls: Syscalls;
  /** Names of device files, in the order that sequences name them. */
  readonly devices: readonly string[];
  /** Memory for mappings: as long on both sides, and as far from the start of a page. */
  readonly memory: Uint8Array;
}

type Ids = Record<IdKind, number[]>;
type Decoded = Readonly<Record<string, number | bigint>>;

/** Runs calls and says what came back. */
export class Side {
  readonly #setup: SideSetup;
  readonly #contexts: (Fd | null)[] = [];
  readonly #files: (Fd | null)[] = [];
  readonly #accesses: (Fd | null)[] = [];
  readonly #ids: Ids[] = [];
  /** The context that a device file was bound to. */
  readonly #contextOf = new Map<number, number>();

  constructor(setup: SideSetup) {
    this.#setup = setup;
  }

  /** The answer to a call, as text: `absent` where the sequence has no such file. */
  async answer(each: FuzzCall): Promise<string> {
    switch (each.do) {
      case 'open-context':
        this.#ids.push({ ioas: [], hwpt: [], device: [], stdev: [] });
        return this.#open(this.#contexts, '/dev/iommu');
      case 'open-device':
        return this.#open(this.#files, `/dev/vfio/devices/${this.#setup.devices[each.device]}`);
      case 'close-context':
        return this.#close(this.#contexts, each.context);
      case 'close-device':
        return this.#close(this.#files, each.file);
      case 'close-access':
        return this.#close(this.#accesses, each.access);
      case 'bind':
        return this.#bind(each.file, each.context);
      case 'ioctl':
        return this.#ioctl(each);
    }
  }

  /** Closes whatever the sequence left open. */
  async closeAll(): Promise<void> {
    for (const fd of [...this.#accesses, ...this.#files, ...this.#contexts]) {
      if (fd !== null) await this.#setup.syscalls.slow.close(fd);
    }
  }

  #open(files: (Fd | null)[], path: string): string {
    try {
      files.push(this.#setup.syscalls.open(path));
      return 'ok';
    } catch (error) {
      files.push(null);
      return errnoOf(error);
    }
  }

  async #close(files: (Fd | null)[], at: number): Promise<string> {
    const fd = files[at] ?? null;
    if (fd === null) return 'absent';
    files[at] = null;
    await this.#setup.syscalls.slow.close(fd);
    return 'ok';
  }

  #bind(file: number, context: number): string {
    const iommufd = this.#contexts[context] ?? null;
    if (iommufd === null) return 'absent';
    const fields = { iommufd };
    const answer = this.#ioctl({
      do: 'ioctl',
      on: 'file',
      at: file,
      op: 'VFIO_DEVICE_BIND_IOMMUFD',
      fields,
    });
    if (!answer.startsWith('ok')) return answer;
    this.#contextOf.set(file, context);
    this.#remember(context, 'device', Number(/out_devid=(\d+)/.exec(answer)?.[1]));
    return answer;
  }

  #ioctl({ on, at, op: name, fields, buffers = {} }: IoctlCall): string {
    const fd = (on === 'context' ? this.#contexts : this.#files)[at] ?? null;
    if (fd === null) return 'absent';
    const op = FUZZ_OPS[name];
    if (op === undefined) throw new Error(`no ioctl ${name}`);
    const context = on === 'context' ? at : (this.#contextOf.get(at) ?? 0);
    const targets = new Map(
      Object.entries(buffers).map(([field, spec]) => [field, this.#target(spec)]),
    );
    const values = Object.entries(fields).map(([field, value]) => [
      field,
      typeof value === 'object' ? this.#resolve(value, context) : value,
    ]);
    const given = { ...Object.fromEntries(values), ...Object.fromEntries(targets) };
    if (op.number !== undefined) given['op'] = op.number;
    const request = encode(op, given as FieldsIn<Struct>, new Uint8Array(0));
    let verdict = 'ok';
    try {
      this.#setup.syscalls.ioctl(fd, op.request, request);
    } catch (error) {
      verdict = errnoOf(error);
    }
    const out = decode(op.struct, request.bytes) as Decoded;
    if (verdict === 'ok') this.#learn(context, out);
    const hidden = Object.keys(fields).filter((field) => isAccess(fields[field]));
    return [verdict, ...shown(out, hidden), ...contents(buffers, targets)].join(' ');
  }

  #target(spec: BufferSpec): Uint8Array {
    if ('memory' in spec) return this.#setup.memory.subarray(spec.memory);
    if ('bytes' in spec) return Uint8Array.from(spec.bytes);
    return new Uint8Array(new BigUint64Array(spec.words).buffer);
  }

  #resolve(value: IdRef | AccessRef, context: number): number {
    if ('access' in value) return this.#accesses[value.access] ?? 0x7fff_ffff;
    const ids = this.#ids[context]?.[value.ref] ?? [];
    return ids.length === 0 ? 0 : (ids[ids.length - 1 - (value.nth % ids.length)] as number);
  }

  #learn(context: number, out: Decoded): void {
    for (const [field, value] of Object.entries(out)) {
      const kind = GIVEN_OUT[field];
      if (kind !== undefined && value !== 0) this.#remember(context, kind, Number(value));
    }
    if ('out_access_fd' in out) this.#accesses.push(Number(out['out_access_fd']) as Fd);
  }

  #remember(context: number, kind: IdKind, id: number): void {
    const ids = this.#ids[context]?.[kind];
    if (ids !== undefined && ids.at(-1) !== id) ids.push(id);
  }
}

/** Output fields that carry an id. */
const GIVEN_OUT: Readonly<Record<string, IdKind>> = {
  out_ioas_id: 'ioas',
  out_hwpt_id: 'hwpt',
  hwpt_id: 'hwpt',
  stdev_id: 'stdev',
  idev_id: 'device',
};

/** Fields that are numbers of files, or lengths that the encoder fills in. */
const OF_THE_SIDE = new Set(['size', 'argsz', 'iommufd', 'out_access_fd', 'out_fault_fd']);

function shown(out: Decoded, hidden: readonly string[]): readonly string[] {
  return Object.entries(out)
    .filter(([field]) => !OF_THE_SIDE.has(field) && !hidden.includes(field))
    .map(([field, value]) => `${field}=${field === 'out_capabilities' ? dirtyBit(value) : value}`);
}

/** Later kernels have more capabilities: only this one is of interest. */
function dirtyBit(value: number | bigint): bigint {
  return BigInt(value) & HW_CAP_DIRTY_TRACKING;
}

function contents(
  buffers: Readonly<Record<string, BufferSpec>>,
  targets: ReadonlyMap<string, Uint8Array>,
): readonly string[] {
  return [...targets].flatMap(([field, bytes]) => {
    const spec = buffers[field];
    const isMemory = spec !== undefined && 'memory' in spec;
    return isMemory ? [] : [`${field}:${Buffer.from(bytes).toString('hex')}`];
  });
}

function isAccess(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'access' in value;
}

function errnoOf(error: unknown): string {
  if (error instanceof KernelError || error instanceof SyscallError) return error.errno;
  throw error;
}
