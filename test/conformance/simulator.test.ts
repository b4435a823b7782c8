/** The conformance suites on the simulator: over device files with an IOMMU that tracks and with one that does not, and over mock devices. */
import { Machine } from '../../src/kernel/sim/machine.ts';
import { hostIn, testClock } from '../support/world.ts';
import { mockMachine } from './mock-machine.ts';
import { mockTarget } from './mock-target.ts';
import type { Target } from './rig.ts';
import { conformance, mockConformance } from './suite.ts';

const MEMORY_BYTES = 128 * 1024;

function target(tracks: boolean): Target {
  const document = hostIn('test/cases/host.yaml');
  const iommus = document.spec.iommus?.map((iommu) => ({ ...iommu, dirtyTracking: tracks })) ?? [];
  const devices = document.spec.devices?.map((each) =>
    each.cdev === 'vfio0' ? { ...each, rootBus: true } : each,
  );
  const spec = { ...document.spec, iommus, ...(devices ? { devices } : {}) };
  const machine = new Machine({ ...document, spec }, { clock: testClock() });
  return {
    syscalls: machine.syscalls,
    single: ['vfio0', 'vfio1'],
    mates: ['vfio3', 'vfio4'],
    mdev: 'vfio5',
    tracks,
    openSignalLine: (onSignal) => machine.openSignalLine(onSignal),
    memory: new Uint8Array(MEMORY_BYTES),
    holdGroup(cdev) {
      const device = [...machine.hardware.devices.values()].find((each) => each.cdev === cdev);
      const holders = device?.group?.holders ?? [];
      holders.push({ pid: 1, comm: 'legacy', uid: 0 });
      return async () => {
        holders.pop();
      };
    },
  };
}

conformance('simulator', () => target(false));
conformance('simulator with dirty tracking', () => target(true));
mockConformance('simulator with mock devices', () =>
  mockTarget(mockMachine(), new Uint8Array(MEMORY_BYTES)),
);
