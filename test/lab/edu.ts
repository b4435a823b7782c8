/**
 * A user-space driver for QEMU's `edu` function, small enough to read: copies between memory and the
 * 4 KiB buffer of the device, by the device's own DMA. It works on what a consumer is handed: a bound
 * device file, an iommufd file and the id of an IOAS. It neither opens, binds nor attaches.
 * Source: docs/specs/edu.rst of QEMU (7.2).
 */
import { readSync, writeSync } from 'node:fs';
import type { IoasId } from '../../src/base/ids.ts';
import { call, callSlow } from '../../src/kernel/call.ts';
import { addressOf } from '../../src/kernel/native/libc.ts';
import type { Fd, Syscalls } from '../../src/kernel/port.ts';
import { struct } from '../../src/kernel/struct.ts';
import { IOMMUFD_OPS } from '../../src/kernel/uapi/iommufd.ts';
import { type IoctlOp, ioNumber } from '../../src/kernel/uapi/op.ts';

/** What the driver works on. */
export interface EduFiles {
  readonly device: Fd;
  readonly iommufd: Fd;
  readonly ioas: IoasId;
}

/** `from-memory`: the device reads memory. `to-memory`: it writes memory. */
export type Direction = 'from-memory' | 'to-memory';

/** QEMU 7.2 aborts where a transfer fills the buffer to its last byte. */
export const EDU_LENGTH_MAX = 4095;

const PAGE = 4096;

/** Whole pages of zeroed memory at a page boundary, as MAP wants them. */
export function pages(count: number): Uint8Array {
  const all = new Uint8Array((count + 1) * PAGE);
  const offset = (PAGE - Number(addressOf(all) % BigInt(PAGE))) % PAGE;
  return all.subarray(offset, offset + count * PAGE);
}

/** Maps memory of ours at an address of an IOAS, to be read and written. Keep the memory referenced until it is unmapped. */
export async function mapMemory(
  syscalls: Syscalls,
  { iommufd, ioas }: Pick<EduFiles, 'iommufd' | 'ioas'>,
  memory: Uint8Array,
  iova: bigint,
): Promise<void> {
  await callSlow(syscalls, iommufd, IOMMUFD_OPS.IOMMU_IOAS_MAP, {
    flags: MAP_FIXED_READ_WRITE,
    ioas_id: ioas,
    user_va: memory,
    length: BigInt(memory.length),
    iova,
  });
}

/** Takes a mapping out again. */
export async function unmapMemory(
  syscalls: Syscalls,
  { iommufd, ioas }: Pick<EduFiles, 'iommufd' | 'ioas'>,
  memory: Uint8Array,
  iova: bigint,
): Promise<void> {
  const length = BigInt(memory.length);
  const range = { ioas_id: ioas, iova, length };
  await callSlow(syscalls, iommufd, IOMMUFD_OPS.IOMMU_IOAS_UNMAP, range);
}

/** One function, with memory access and bus mastering switched on. */
export class Edu {
  readonly #device: Fd;
  readonly #registers: number;

  constructor(syscalls: Syscalls, device: Fd) {
    this.#device = device;
    this.#registers = regionOffset(syscalls, device, BAR0_REGION);
    const config = regionOffset(syscalls, device, CONFIG_REGION);
    const command = Buffer.alloc(2);
    readSync(device, command, 0, 2, config + PCI_COMMAND);
    command.writeUInt16LE(command.readUInt16LE() | PCI_MEMORY | PCI_MASTER);
    writeSync(device, command, 0, 2, config + PCI_COMMAND);
    const identity = this.#read(0);
    if ((identity & 0xff) !== 0xed)
      throw new Error(`not an edu: it identifies as ${identity.toString(16)}`);
  }

  /** Gives the command; the transfer ends about 100 ms later. One at a time. */
  start(direction: Direction, iova: bigint, length: number): void {
    if (length > EDU_LENGTH_MAX) throw new Error(`edu copies ${EDU_LENGTH_MAX} bytes at most`);
    if (this.busy) throw new Error('edu is still copying');
    const ends = [Number(iova), DEVICE_BUFFER];
    const [source, target] = direction === 'from-memory' ? ends : ends.reverse();
    this.#write(DMA_SOURCE, source ?? 0);
    this.#write(DMA_TARGET, target ?? 0);
    this.#write(DMA_COUNT, length);
    this.#write(DMA_COMMAND, direction === 'from-memory' ? 1 : 3);
  }

  /** True from the command to the end of the transfer. */
  get busy(): boolean {
    return (this.#read(DMA_COMMAND) & 1) === 1;
  }

  /** One transfer, from the command to its end. Throws when the device does not end it in five seconds. */
  async transfer(direction: Direction, iova: bigint, length: number): Promise<void> {
    this.start(direction, iova, length);
    for (const start = performance.now(); this.busy; ) {
      if (performance.now() - start > 5000) throw new Error('edu does not end its transfer');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  #read(register: number): number {
    const value = Buffer.alloc(4);
    readSync(this.#device, value, 0, 4, this.#registers + register);
    return value.readUInt32LE();
  }

  #write(register: number, to: number): void {
    const value = Buffer.alloc(4);
    value.writeUInt32LE(to);
    writeSync(this.#device, value, 0, 4, this.#registers + register);
  }
}

const DMA_SOURCE = 0x80;
const DMA_TARGET = 0x88;
const DMA_COUNT = 0x90;
const DMA_COMMAND = 0x98;
/** Where the device's own buffer stands in its address space. */
const DEVICE_BUFFER = 0x40000;

const BAR0_REGION = 0;
const CONFIG_REGION = 7;
const PCI_COMMAND = 4;
const PCI_MEMORY = 2;
const PCI_MASTER = 4;
/** FIXED_IOVA, WRITEABLE, READABLE. */
const MAP_FIXED_READ_WRITE = 7;

/** A driver's business, not autodomain's. Source: include/uapi/linux/vfio.h, struct vfio_region_info (v6.12). */
const VFIO_DEVICE_GET_REGION_INFO = {
  name: 'VFIO_DEVICE_GET_REGION_INFO',
  request: ioNumber(0x6c),
  struct: struct('vfio_region_info', [
    ['argsz', 'u32'],
    ['flags', 'u32'],
    ['index', 'u32'],
    ['cap_offset', 'u32'],
    ['size', 'u64'],
    ['offset', 'u64'],
  ]),
  last: 'offset',
  sizeField: 'argsz',
  slow: false,
  errnos: {},
} as const satisfies IoctlOp;

function regionOffset(syscalls: Syscalls, device: Fd, index: number): number {
  return Number(call(syscalls, device, VFIO_DEVICE_GET_REGION_INFO, { index }).out.offset);
}
