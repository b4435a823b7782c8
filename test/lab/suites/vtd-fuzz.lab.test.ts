/** The simulator against the kernel, call by call, on random sequences over real devices: single functions, mates of a group, an mdev. */
import { describe, expect, it } from 'vitest';
import type { DeviceKey } from '../../../src/base/ids.ts';
import { snapshotHost } from '../../../src/graph/snapshot.ts';
import type { DeviceTracking } from '../../../src/graph/types.ts';
import { nativeSyscalls } from '../../../src/kernel/native/syscalls.ts';
import { observe } from '../../../src/kernel/observe.ts';
import { Machine } from '../../../src/kernel/sim/machine.ts';
import { type FuzzSides, hunt } from '../../conformance/fuzz/run.ts';
import { VFIO_MEMORY_BYTES, vfioSequence } from '../../conformance/fuzz/vfio-sequences.ts';
import { hostOf, testClock } from '../../support/world.ts';
import { alignedMemory, budget, LENGTH, SEED } from '../fuzz-lab.ts';
import { bindVfio, createMdev, functions, mdevCdev, rootEdus } from '../guest.ts';

/** What the sample driver offers, which no file in sysfs says. */
const MTTY: DeviceTracking = { device: 'yes', migration: ['p2p', 'pre-copy', 'stop-copy'] };
const MDEVS = ['77777777-2222-3333-4444-555555555555', '77777777-2222-3333-4444-666666666666'].map(
  (uuid) => uuid as DeviceKey,
);
const SEQUENCES = budget(300);

/** Two functions alone in their groups, two mates of one group, two mdevs. */
function sides(): FuzzSides {
  const native = nativeSyscalls();
  const pair = functions('1234', '11e8').slice(-2);
  const cdevs = [...rootEdus(), ...pair].map(bindVfio);
  for (const uuid of MDEVS) createMdev(uuid);
  const devices = [...cdevs, ...MDEVS.map(mdevCdev)];
  const known = { iommus: new Map(), tracking: new Map(MDEVS.map((uuid) => [uuid, MTTY])) };
  const observation = observe(native, { ownPid: process.pid, held: [], known });
  const host = hostOf(JSON.stringify(snapshotHost(observation, { holders: 'anonymous' })));
  const { syscalls } = new Machine(host, { clock: testClock() });
  return {
    left: { syscalls: native, devices, memory: alignedMemory(VFIO_MEMORY_BYTES) },
    right: { syscalls, devices, memory: new Uint8Array(VFIO_MEMORY_BYTES) },
  };
}

describe('the simulator', () => {
  it(`answers as the kernel does: ${SEQUENCES} sequences of ${LENGTH} calls from seed ${SEED}`, async () => {
    const both = sides();
    const start = Date.now();
    const differences = await hunt(both, {
      seed: SEED,
      sequences: SEQUENCES,
      sequenceOf: (seed) => vfioSequence(seed, LENGTH, both.left.devices.length),
      most: 12,
    });
    console.log(
      `figure: VFIO fuzz, ${SEQUENCES} sequences from seed ${SEED} in ${Date.now() - start} ms`,
    );
    expect(differences.join('\n\n')).toBe('');
  }, 460_000);
});
