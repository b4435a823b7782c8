/**
 * Random sequences of calls, valid and not, made on two implementations of the port in lock step:
 * every errno and every output field must agree. A difference is shrunk to the calls that it needs.
 * Left out: what kernels answer differently by version (HWPT_INVALIDATE of a wrong type from 6.13 on).
 */
import { call, KernelError } from '../../src/kernel/call.ts';
import { type Fd, SyscallError, type Syscalls } from '../../src/kernel/port.ts';
import type { FieldsIn, Struct } from '../../src/kernel/struct.ts';
import { IOMMUFD_OPS } from '../../src/kernel/uapi/iommufd.ts';
import type { IoctlOp } from '../../src/kernel/uapi/op.ts';
import { VFIO_OPS } from '../../src/kernel/uapi/vfio.ts';
import { seeded } from '../support/rng.ts';

/** One call of a sequence. Files and contexts are named by their place in the sequence's tables. */
export type FuzzCall =
  | { readonly do: 'open-context' }
  | { readonly do: 'close-context'; readonly context: number }
  | { readonly do: 'open-device'; readonly device: number }
  | { readonly do: 'close-device'; readonly file: number }
  | { readonly do: 'bind'; readonly file: number; readonly context: number }
  | {
      readonly do: 'ioctl';
      readonly on: 'context' | 'file';
      readonly at: number;
      readonly op: keyof typeof IOMMUFD_OPS | keyof typeof VFIO_OPS;
      readonly fields: Readonly<Record<string, number | bigint>>;
      readonly ranges?: readonly bigint[];
      readonly memory?: boolean;
    };

/** What a fuzz works on. */
export interface FuzzSides {
  readonly left: Syscalls;
  readonly right: Syscalls;
  /** Names of device files, the same on both sides. */
  readonly devices: readonly (readonly [left: string, right: string])[];
  /** Page-aligned memory for mappings. */
  readonly memory: Uint8Array;
}

/** A sequence of `length` calls that follows from the seed. */
export function sequenceOf(seed: number, length: number, devices: number): readonly FuzzCall[] {
  const random = seeded(seed);
  const pick = (count: number): number => Math.floor(random() * count);
  const id = (): number => (random() < 0.04 ? pick(40) : 1 + pick(random() < 0.7 ? 4 : 8));
  // A context with a bound device, an IOAS and a HWPT, so that most of the rest meets something.
  const calls: FuzzCall[] = [
    { do: 'open-context' },
    { do: 'open-device', device: pick(devices) },
    { do: 'bind', file: 0, context: 0 },
    { do: 'ioctl', on: 'context', at: 0, op: 'IOMMU_IOAS_ALLOC', fields: {} },
    { do: 'ioctl', on: 'context', at: 0, op: 'IOMMU_HWPT_ALLOC', fields: { dev_id: 1, pt_id: 2 } },
    { do: 'open-device', device: pick(devices) },
    { do: 'bind', file: 1, context: 0 },
  ];
  while (calls.length < length) calls.push(anyCall(pick, id, random, devices));
  return calls;
}

function anyCall(
  pick: (count: number) => number,
  id: () => number,
  random: () => number,
  devices: number,
): FuzzCall {
  const context = random() < 0.88 ? 0 : 1;
  const file = random() < 0.85 ? pick(2) : pick(4);
  const onContext = (
    op: keyof typeof IOMMUFD_OPS,
    fields: Record<string, number | bigint>,
    more: { ranges?: readonly bigint[]; memory?: boolean } = {},
  ): FuzzCall => ({ do: 'ioctl', on: 'context', at: context, op, fields, ...more });
  const page = (): bigint => BigInt(pick(6)) * 0x1000n + (random() < 0.05 ? 0xfee00000n : 0x10000n);
  const choices: readonly (() => FuzzCall)[] = [
    () => ({ do: 'open-device', device: pick(devices) }),
    () => ({ do: 'bind', file, context }),
    () => ({ do: 'bind', file, context }),
    () =>
      random() < 0.3
        ? { do: 'open-context' }
        : onContext('IOMMU_IOAS_ALLOC', { flags: random() < 0.05 ? 1 : 0 }),
    () => onContext('IOMMU_IOAS_ALLOC', {}),
    () =>
      onContext('IOMMU_HWPT_ALLOC', {
        dev_id: id(),
        pt_id: id(),
        flags: [0, 0, 0, 0, 2, 1, 0x80][pick(7)] ?? 0,
      }),
    () =>
      onContext('IOMMU_HWPT_ALLOC', {
        dev_id: random() < 0.6 ? 1 : id(),
        pt_id: random() < 0.6 ? 2 : id(),
      }),
    () => ({
      do: 'ioctl',
      on: 'file',
      at: file,
      op: 'VFIO_DEVICE_ATTACH_IOMMUFD_PT',
      fields: { pt_id: id() },
    }),
    () => ({
      do: 'ioctl',
      on: 'file',
      at: file,
      op: 'VFIO_DEVICE_ATTACH_IOMMUFD_PT',
      fields: { pt_id: id() },
    }),
    () => ({
      do: 'ioctl',
      on: 'file',
      at: file,
      op: 'VFIO_DEVICE_ATTACH_IOMMUFD_PT',
      fields: { pt_id: id() },
    }),
    () => ({ do: 'ioctl', on: 'file', at: file, op: 'VFIO_DEVICE_DETACH_IOMMUFD_PT', fields: {} }),
    () => onContext('IOMMU_DESTROY', { id: id() }),
    () => onContext('IOMMU_DESTROY', { id: id() }),
    () =>
      onContext(
        'IOMMU_IOAS_IOVA_RANGES',
        { ioas_id: id() },
        { ranges: Array.from({ length: 16 }, () => 0n) },
      ),
    () =>
      onContext(
        'IOMMU_IOAS_ALLOW_IOVAS',
        { ioas_id: id(), num_iovas: 1 },
        { ranges: random() < 0.3 ? [0xfe000000n, 0xffffffffn] : [page(), page() + 0x8fffn] },
      ),
    () =>
      onContext(
        'IOMMU_IOAS_MAP',
        { ioas_id: id(), flags: 7, iova: page(), length: BigInt(pick(3)) * 0x1000n },
        { memory: true },
      ),
    () =>
      onContext('IOMMU_IOAS_UNMAP', {
        ioas_id: id(),
        iova: page(),
        length: BigInt(pick(4)) * 0x1000n,
      }),
    () =>
      onContext('IOMMU_OPTION', {
        option_id: pick(2),
        op: pick(2),
        object_id: pick(3),
        val64: BigInt(pick(3)),
      }),
    () => onContext('IOMMU_HWPT_SET_DIRTY_TRACKING', { hwpt_id: id(), flags: pick(2) }),
    () => onContext('IOMMU_HWPT_GET_DIRTY_BITMAP', { hwpt_id: id() }),
    () => (random() < 0.5 ? { do: 'close-device', file } : onContext('IOMMU_VFIO_IOAS', { op: 0 })),
    () =>
      random() < 0.1
        ? { do: 'close-context', context }
        : onContext('IOMMU_GET_HW_INFO', { dev_id: id() }),
  ];
  return (choices[pick(choices.length)] as () => FuzzCall)();
}

/** The first call whose answers differ, with both answers; null where all agree. */
export async function runSequence(
  sides: FuzzSides,
  calls: readonly FuzzCall[],
): Promise<{
  readonly at: number;
  readonly call: FuzzCall;
  readonly left: string;
  readonly right: string;
} | null> {
  const left = new Side(
    sides.left,
    sides.devices.map(([name]) => name),
    sides.memory,
  );
  const right = new Side(
    sides.right,
    sides.devices.map(([, name]) => name),
    sides.memory,
  );
  try {
    for (const [at, each] of calls.entries()) {
      const [a, b] = [await left.answer(each), await right.answer(each)];
      if (a !== b) return { at, call: each, left: a, right: b };
    }
    return null;
  } finally {
    await left.closeAll();
    await right.closeAll();
  }
}

/** Leaves calls out one by one while the rest still differs. */
export async function shrink(
  sides: FuzzSides,
  calls: readonly FuzzCall[],
): Promise<readonly FuzzCall[]> {
  let smallest = calls;
  for (let index = calls.length - 1; index >= 0; index -= 1) {
    const without = smallest.filter((_, at) => at !== index);
    if ((await runSequence(sides, without)) !== null) smallest = without;
  }
  return smallest;
}

class Side {
  readonly #syscalls: Syscalls;
  readonly #devices: readonly string[];
  readonly #memory: Uint8Array;
  readonly #contexts: (Fd | null)[] = [];
  readonly #files: (Fd | null)[] = [];

  constructor(syscalls: Syscalls, devices: readonly string[], memory: Uint8Array) {
    this.#syscalls = syscalls;
    this.#devices = devices;
    this.#memory = memory;
  }

  /** What the side answers, as text: `absent` where the sequence has no such file. */
  async answer(each: FuzzCall): Promise<string> {
    try {
      return await this.#perform(each);
    } catch (error) {
      if (error instanceof KernelError) return error.errno;
      if (error instanceof SyscallError) return error.errno;
      throw error;
    }
  }

  async closeAll(): Promise<void> {
    for (const fd of [...this.#files, ...this.#contexts]) {
      if (fd !== null) await this.#syscalls.slow.close(fd);
    }
  }

  async #perform(each: FuzzCall): Promise<string> {
    switch (each.do) {
      case 'open-context':
        this.#contexts.push(this.#syscalls.open('/dev/iommu'));
        return 'ok';
      case 'open-device':
        this.#files.push(this.#syscalls.open(`/dev/vfio/devices/${this.#devices[each.device]}`));
        return 'ok';
      case 'close-context':
        return this.#close(this.#contexts, each.context);
      case 'close-device':
        return this.#close(this.#files, each.file);
      case 'bind': {
        const fd = this.#files[each.file] ?? null;
        const iommufd = this.#contexts[each.context] ?? null;
        if (fd === null || iommufd === null) return 'absent';
        return this.#ioctl(fd, VFIO_OPS.VFIO_DEVICE_BIND_IOMMUFD, { iommufd }, ['out_devid']);
      }
      case 'ioctl':
        return this.#anyIoctl(each);
    }
  }

  async #close(files: (Fd | null)[], at: number): Promise<string> {
    const fd = files[at] ?? null;
    if (fd === null) return 'absent';
    files[at] = null;
    await this.#syscalls.slow.close(fd);
    return 'ok';
  }

  #anyIoctl(each: Extract<FuzzCall, { do: 'ioctl' }>): string {
    const fd = (each.on === 'context' ? this.#contexts : this.#files)[each.at] ?? null;
    if (fd === null) return 'absent';
    const op: IoctlOp = { ...IOMMUFD_OPS, ...VFIO_OPS }[each.op];
    const list = each.ranges ? new BigUint64Array(each.ranges) : null;
    const fields: Record<string, unknown> = { ...each.fields };
    if (list) {
      fields['allowed_iovas'] = new Uint8Array(list.buffer);
      fields['num_iovas'] = list.length / 2;
    }
    if (each.memory) fields['user_va'] = this.#memory;
    const shown = OUTPUTS[each.op] ?? [];
    const answer = this.#ioctl(fd, op, fields as FieldsIn<Struct>, shown);
    return list ? `${answer} ${[...list].join()}` : answer;
  }

  #ioctl(fd: Fd, op: IoctlOp, fields: FieldsIn<Struct>, shown: readonly string[]): string {
    const { out } = call(this.#syscalls, fd, op, fields);
    const values = out as Readonly<Record<string, unknown>>;
    return `ok ${shown.map((name) => `${name}=${values[name]}`).join(' ')}`;
  }
}

/** Output fields that are compared. */
const OUTPUTS: Readonly<Record<string, readonly string[]>> = {
  IOMMU_IOAS_ALLOC: ['out_ioas_id'],
  IOMMU_HWPT_ALLOC: ['out_hwpt_id'],
  IOMMU_IOAS_IOVA_RANGES: ['num_iovas', 'out_iova_alignment'],
  IOMMU_IOAS_MAP: ['iova'],
  IOMMU_IOAS_UNMAP: ['length'],
  IOMMU_OPTION: ['val64'],
  VFIO_DEVICE_ATTACH_IOMMUFD_PT: ['pt_id'],
};
