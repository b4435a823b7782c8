/** Bugs on purpose, one for each invariant: a checker that does not find its own is no checker. */
import type { Journal } from '../../src/engine/journal.ts';
import type { FileKeeper } from '../../src/engine/run/context.ts';
import { type Fd, SyscallError, type Syscalls } from '../../src/kernel/port.ts';
import type { Machine } from '../../src/kernel/sim/machine.ts';
import { opOf } from '../../src/kernel/uapi/index.ts';
import type { Plan } from '../../src/plan/types.ts';
import type { Invariant } from './invariants.ts';

/** What a plant changes; what it leaves out stays as it is. */
export interface Plant {
  syscalls?(port: Syscalls, machine: Machine): Syscalls;
  journal?(journal: Journal): Journal;
  keeper?(keeper: FileKeeper): FileKeeper;
  plan?(plan: Plan): Plan;
  /** Changes the files each time they are read. */
  files?(text: string, reads: number): string;
  /** Loses something when the same config is put in another order. */
  shuffled?(text: string): string;
}

type Ioctl = Syscalls['ioctl'];

/** A port whose ioctls of one name go through `twist`, slow or not. */
function twisted(
  port: Syscalls,
  name: string,
  twist: (through: () => number, fd: Fd, times: number) => number,
): Syscalls {
  let times = 0;
  const ioctl: Ioctl = (fd, request, arg) => {
    const through = (): number => port.ioctl(fd, request, arg);
    if (opOf(request)?.name !== name) return through();
    times += 1;
    return twist(through, fd, times);
  };
  return {
    ...port,
    ioctl,
    slow: {
      ...port.slow,
      ioctl: async (fd, request, arg) =>
        opOf(request)?.name === name ? ioctl(fd, request, arg) : port.slow.ioctl(fd, request, arg),
    },
  };
}

/** The plants by the invariant that they break. */
export const PLANTS: Readonly<Record<Invariant, Plant>> = {
  /** With the third attach, a device that no config names gets another driver. */
  safety: {
    syscalls: (port, machine) =>
      twisted(port, 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', (through, _fd, times) => {
        const foreign = [...machine.hardware.devices.values()].filter(({ pci }) => pci).at(-1);
        const path = `/sys/bus/pci/devices/${foreign?.key}/driver_override`;
        if (times === 3) void port.slow.writeText(path, 'vfio-pci');
        return through();
      }),
  },
  /** A bind resets twice: as an engine would that closes and opens again after every open. */
  disruption: {
    syscalls: (port) => ({
      ...port,
      slow: {
        ...port.slow,
        async ioctl(fd, request, arg) {
          const answer = await port.slow.ioctl(fd, request, arg);
          if (opOf(request)?.name === 'VFIO_DEVICE_BIND_IOMMUFD') {
            throw new SyscallError('ioctl', 'EIO', 'planted');
          }
          return answer;
        },
      },
    }),
  },
  /** What the files say depends on when they are read. */
  flapping: {
    files: (text, reads) =>
      reads % 9 < 5 ? text : text.replaceAll('"devices":', '"state":"absent","devices":'),
  },
  /** Page tables cannot be allocated, ever. */
  convergence: {
    syscalls: (port) =>
      twisted(port, 'IOMMU_HWPT_ALLOC', () => {
        throw new SyscallError('ioctl', 'ENOMEM', 'planted');
      }),
  },
  /** What was attached is forgotten. */
  idempotence: {
    journal: (journal) => ({
      get generation() {
        return journal.generation;
      },
      contexts: () => journal.contexts(),
      begin: (action) => journal.begin(action),
      end: (intent) => journal.end(intent),
      resolve: (context, ref) => journal.resolve(context, ref),
      record(context, change) {
        if (change.kind !== 'hwpt-changed') journal.record(context, change);
      },
    }),
  },
  /** A plan says one thing twice. */
  minimality: {
    plan: (plan) => {
      const attach = plan.steps.find((step) => step.kind === 'attach-device');
      return attach ? { ...plan, steps: [...plan.steps, { ...attach, id: 'planted' }] } : plan;
    },
  },
  /** A context is opened and nobody keeps the file. */
  leaks: {
    syscalls: (port) =>
      twisted(port, 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', (through, _fd, times) => {
        if (times === 3) port.open('/dev/iommu');
        return through();
      }),
  },
  /** An attach that is not made is called a success. */
  honesty: {
    syscalls: (port) =>
      twisted(port, 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', (through, _fd, times) =>
        times % 4 === 0 ? 0 : through(),
      ),
  },
  /** Whoever comes last in a file is overlooked. */
  order: { shuffled: (text) => text.split('\n---\n').slice(0, -1).join('\n---\n') },
  /** Tracking is not switched on for whoever takes over from a HWPT that tracks. */
  tracking: {
    syscalls: (port, machine) =>
      twisted(port, 'IOMMU_HWPT_SET_DIRTY_TRACKING', (through) => {
        const devices = [...machine.hardware.devices.values()];
        return devices.some(({ group }) => group?.hwpt?.tracking) ? 0 : through();
      }),
  },
  /** Every second file is not kept for the next process. */
  restart: {
    keeper: (keeper) => {
      let times = 0;
      return {
        letGo: (fd) => keeper.letGo(fd),
        async keep(fd) {
          times += 1;
          if (times % 2 === 1) await keeper.keep(fd);
        },
      };
    },
  },
};
