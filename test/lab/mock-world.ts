/** A host of mock devices under management. */
import { applyAttempt, planAttempt } from '../../src/engine/attempt.ts';
import type { ManagedHost } from '../../src/engine/host.ts';
import { MemoryJournal } from '../../src/engine/journal.ts';
import type { DirtyState } from '../../src/graph/types.ts';
import { nativeSyscalls } from '../../src/kernel/native/syscalls.ts';
import type { Syscalls } from '../../src/kernel/port.ts';
import { DEFAULT_OPTIONS } from '../../src/plan/planner-options.ts';
import { configOf, hostOf, testClock } from '../support/world.ts';
import { container } from './guest.ts';
import { mockSyscalls } from './mock-port.ts';

/** The mock shares HWPTs as AMD does: only dirty tracking keeps devices apart. */
export const HOST = JSON.stringify({
  apiVersion: 'autodomain.dev/v1alpha1',
  kind: 'Host',
  metadata: { name: 'mock' },
  spec: {
    kernel: { release: 'mock', features: ['iommufd', 'vfio-cdev', 'vfio-pci'] },
    iommus: [
      { name: 'ivhd0', type: 'amd', dirtyTracking: true, msiIsolated: true },
      { name: 'ivhd1', type: 'amd', dirtyTracking: false, msiIsolated: true },
    ],
    groups: [
      { id: 1, iommu: 'ivhd0' },
      { id: 2, iommu: 'ivhd0' },
      { id: 3, iommu: 'ivhd1' },
    ],
    devices: [1, 2, 3].map((group) => ({
      pci: `0000:0${group}:00.0`,
      group,
      vendor: '1234',
      device: '0001',
      class: '000000',
      driver: 'vfio-pci',
      cdev: `vfio${group}`,
    })),
  },
});

/** Mock devices on the real iommufd. */
export class MockWorld {
  readonly host: ManagedHost & { readonly journal: MemoryJournal };

  constructor(text = HOST, native: Syscalls = nativeSyscalls()) {
    const document = hostOf(text);
    this.host = {
      syscalls: mockSyscalls(native, document),
      journal: new MemoryJournal(),
      known: { iommus: new Map(), tracking: new Map() },
      clock: testClock(),
      hostName: 'mock',
      ownPid: process.pid,
    };
  }

  async apply(spec: object): ReturnType<typeof applyAttempt> {
    const config = configOf(container('blue', spec));
    const planned = planAttempt(this.host, config, DEFAULT_OPTIONS);
    return applyAttempt(this.host, planned, config, { parallel: 4 });
  }

  states(): readonly DirtyState[] {
    return this.host.journal
      .contexts()
      .flatMap(({ containers }) =>
        containers.flatMap(({ hwpts }) => hwpts.map(({ dirtyTracking }) => dirtyTracking)),
      );
  }
}
