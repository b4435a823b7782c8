/** The fuzzer itself: two simulators agree, and a lie in one of them is found and shrunk. */
import { describe, expect, it } from 'vitest';
import { SyscallError, type Syscalls } from '../../src/kernel/port.ts';
import { Machine } from '../../src/kernel/sim/machine.ts';
import { IOMMUFD_OPS } from '../../src/kernel/uapi/iommufd.ts';
import { VFIO_OPS } from '../../src/kernel/uapi/vfio.ts';
import { hostIn, testClock } from '../support/world.ts';
import { type FuzzSides, runSequence, sequenceOf, shrink } from './fuzz.ts';

function machine(): Syscalls {
  return new Machine(hostIn('test/cases/host.yaml'), { clock: testClock() }).syscalls;
}

function sides(right: Syscalls): FuzzSides {
  const devices = ['vfio0', 'vfio1', 'vfio3', 'vfio4', 'vfio5'].map(
    (name) => [name, name] as const,
  );
  return { left: machine(), right, devices, memory: new Uint8Array(32768) };
}

/** A simulator that answers one ioctl otherwise. */
function lying(request: number, lie: (answer: () => number) => number): Syscalls {
  const honest = machine();
  return {
    ...honest,
    ioctl: (fd, asked, arg) => {
      const answer = (): number => honest.ioctl(fd, asked, arg);
      return asked === request ? lie(answer) : answer();
    },
  };
}

async function firstDifference(both: FuzzSides): Promise<number | null> {
  for (let seed = 1; seed <= 300; seed += 1) {
    const calls = sequenceOf(seed, 40, both.devices.length);
    if ((await runSequence(both, calls)) === null) continue;
    const small = await shrink(both, calls);
    expect(await runSequence(both, small)).not.toBeNull();
    return small.length;
  }
  return null;
}

describe('the fuzzer', () => {
  it('finds no difference between equals', async () => {
    expect(await firstDifference(sides(machine()))).toBeNull();
  });

  it('finds an attach that succeeds where it must not, in a few calls', async () => {
    const { request } = VFIO_OPS.VFIO_DEVICE_ATTACH_IOMMUFD_PT;
    const generous = lying(request, (answer) => {
      try {
        return answer();
      } catch (error) {
        if (error instanceof SyscallError && error.errno === 'EADDRINUSE') return 0;
        throw error;
      }
    });
    const length = await firstDifference(sides(generous));
    expect(length).not.toBeNull();
    expect(length).toBeLessThanOrEqual(8);
  });

  it('finds an errno that is another', async () => {
    const wrong = lying(IOMMUFD_OPS.IOMMU_DESTROY.request, (answer) => {
      try {
        return answer();
      } catch (error) {
        if (error instanceof SyscallError && error.errno === 'EBUSY') {
          throw new SyscallError('ioctl', 'EPERM', 'lie');
        }
        throw error;
      }
    });
    expect(await firstDifference(sides(wrong))).not.toBeNull();
  });
});
