/** The fuzzer itself: equals agree, and a lie in one of two simulators is found and shrunk to what shows it. */
import { describe, expect, it } from 'vitest';
import { type IoctlArg, SyscallError, type Syscalls } from '../../../src/kernel/port.ts';
import { Machine } from '../../../src/kernel/sim/machine.ts';
import { fieldOf, readField, viewOf, writeField } from '../../../src/kernel/struct.ts';
import { IOMMUFD_OPS } from '../../../src/kernel/uapi/iommufd.ts';
import { VFIO_OPS } from '../../../src/kernel/uapi/vfio.ts';
import { IOMMU_TEST_REQUEST, MOCK_OPS } from '../../lab/mock-uapi.ts';
import { hostIn, testClock } from '../../support/world.ts';
import { mockMachine } from '../mock-machine.ts';
import type { FuzzCall } from './calls.ts';
import { MOCK_MEMORY_BYTES, mockSequence } from './mock-sequences.ts';
import { type FuzzSides, hunt, runSequence, shrink } from './run.ts';
import { vfioSequence } from './vfio-sequences.ts';

const LENGTH = 40;
/** For equals; a lie is found long before. */
const SEQUENCES = 300;
const DEVICES = ['vfio0', 'vfio1', 'vfio3', 'vfio4', 'vfio5'];

/** Makes the answer to one ioctl another. `honest` makes the call. */
type Lie = (honest: () => number, arg: IoctlArg) => number;

/** One kind of sequences with the simulator that it runs on. */
interface Kind {
  readonly machine: () => Syscalls;
  readonly sequenceOf: (seed: number) => readonly FuzzCall[];
}

const VFIO: Kind = {
  machine: () => new Machine(hostIn('test/cases/host.yaml'), { clock: testClock() }).syscalls,
  sequenceOf: (seed) => vfioSequence(seed, LENGTH, DEVICES.length),
};
const MOCK: Kind = {
  machine: mockMachine,
  sequenceOf: (seed) => mockSequence(seed, LENGTH),
};

function sides(kind: Kind, right: Syscalls): FuzzSides {
  const setup = { devices: DEVICES, memory: new Uint8Array(2 * MOCK_MEMORY_BYTES) };
  return { left: { ...setup, syscalls: kind.machine() }, right: { ...setup, syscalls: right } };
}

function lying(kind: Kind, request: number, lie: Lie): FuzzSides {
  const honest = kind.machine();
  return sides(kind, {
    ...honest,
    ioctl: (fd, asked, arg) => {
      const answer = (): number => honest.ioctl(fd, asked, arg);
      return asked === request ? lie(answer, arg) : answer();
    },
  });
}

/** A refusal with this errno is answered otherwise. */
function insteadOf(errno: string, answer: () => number): Lie {
  return (honest) => {
    try {
      return honest();
    } catch (error) {
      if (error instanceof SyscallError && error.errno === errno) return answer();
      throw error;
    }
  };
}

function refusal(errno: string): () => never {
  return () => {
    throw new SyscallError('ioctl', errno, 'a lie');
  };
}

const attach = VFIO_OPS.VFIO_DEVICE_ATTACH_IOMMUFD_PT;
const hardware = IOMMUFD_OPS.IOMMU_GET_HW_INFO;
const alignment = fieldOf(IOMMUFD_OPS.IOMMU_IOAS_IOVA_RANGES.struct, 'out_iova_alignment');

const LIES: readonly (readonly [name: string, both: () => FuzzSides, most: number, kind: Kind])[] =
  [
    [
      'an attach that succeeds where it must not',
      () =>
        lying(
          VFIO,
          attach.request,
          insteadOf('EADDRINUSE', () => 0),
        ),
      8,
      VFIO,
    ],
    [
      'an errno that is another',
      () => lying(VFIO, IOMMUFD_OPS.IOMMU_DESTROY.request, insteadOf('EBUSY', refusal('EPERM'))),
      7,
      VFIO,
    ],
    [
      'a device of the group that may go to another context',
      () =>
        lying(
          VFIO,
          VFIO_OPS.VFIO_DEVICE_BIND_IOMMUFD.request,
          insteadOf('EPERM', () => 0),
        ),
      6,
      VFIO,
    ],
    [
      'an output field that is another',
      () =>
        lying(MOCK, IOMMUFD_OPS.IOMMU_IOAS_IOVA_RANGES.request, (honest, { bytes }) => {
          const returned = honest();
          if (readField(viewOf(bytes), alignment) === 2048n)
            writeField(viewOf(bytes), alignment, 4096n);
          return returned;
        }),
      6,
      MOCK,
    ],
    [
      'a buffer that is not filled',
      () =>
        lying(MOCK, hardware.request, (honest, { pointers }) => {
          const returned = honest();
          for (const { target } of pointers) target.fill(0xaa);
          return returned;
        }),
      6,
      MOCK,
    ],
    [
      'a dirty page that is forgotten',
      () =>
        lying(MOCK, IOMMUFD_OPS.IOMMU_HWPT_GET_DIRTY_BITMAP.request, (honest, { pointers }) => {
          const before = pointers.map(({ target }) => target.slice());
          const returned = honest();
          for (const [index, { target }] of pointers.entries()) target.set(before[index] ?? target);
          return returned;
        }),
      9,
      MOCK,
    ],
    [
      'a mock device that tracks although it cannot',
      () =>
        lying(MOCK, IOMMU_TEST_REQUEST, (honest, { bytes }) => {
          const flags = fieldOf(MOCK_OPS.MOCK_DOMAIN_FLAGS.struct, 'dev_flags');
          const kept = readField(viewOf(bytes), flags);
          const isPlain = bytes[4] === MOCK_OPS.MOCK_DOMAIN_FLAGS.number && kept === 1;
          if (!isPlain) return honest();
          writeField(viewOf(bytes), flags, 0);
          try {
            return honest();
          } finally {
            writeField(viewOf(bytes), flags, kept);
          }
        }),
      6,
      MOCK,
    ],
  ];

describe('the fuzzer', { timeout: 60_000 }, () => {
  it.each([
    ['device files', VFIO],
    ['mock devices', MOCK],
  ] as const)('finds no difference between equals: %s', async (_name, kind) => {
    const both = sides(kind, kind.machine());
    const what = { seed: 1, sequences: SEQUENCES, sequenceOf: kind.sequenceOf, most: 1 };
    expect(await hunt(both, what)).toEqual([]);
  });

  it.each(LIES)('finds and shrinks %s', async (_name, both, most, kind) => {
    const planted = both();
    const what = { seed: 1, sequences: SEQUENCES, sequenceOf: kind.sequenceOf, most: 1 };
    const [found] = await hunt(planted, what);
    const seed = Number(/LAB_SEED=(\d+)/.exec(found ?? '')?.[1]);
    const small = await shrink(planted, kind.sequenceOf(seed));
    expect(small.length).toBeLessThanOrEqual(most);
    expect(await runSequence(planted, small)).not.toBeNull();
    for (const index of small.keys()) {
      const without = small.filter((_, at) => at !== index);
      expect(await runSequence(planted, without)).toBeNull();
    }
  });

  it('draws the same sequence from the same seed', () => {
    expect(mockSequence(7, LENGTH)).toEqual(mockSequence(7, LENGTH));
    expect(mockSequence(7, LENGTH)).not.toEqual(mockSequence(8, LENGTH));
  });
});
