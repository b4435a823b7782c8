/** The simulator against the kernel, call by call, on random sequences over real devices. */
import { describe, expect, it } from 'vitest';
import { snapshotHost } from '../../../src/graph/snapshot.ts';
import { nativeSyscalls } from '../../../src/kernel/native/syscalls.ts';
import { observe } from '../../../src/kernel/observe.ts';
import { Machine } from '../../../src/kernel/sim/machine.ts';
import { type FuzzSides, runSequence, sequenceOf, shrink } from '../../conformance/fuzz.ts';
import { hostOf, testClock } from '../../support/world.ts';
import { pages } from '../edu.ts';
import { bindVfio, createMdev, functions, mdevCdev, rootEdus } from '../guest.ts';

const MDEV = '77777777-2222-3333-4444-555555555555';
const SEQUENCES = Number(process.env['LAB_SEQUENCES'] ?? 400);
const SEED = Number(process.env['LAB_SEED'] ?? 1);
const LENGTH = 40;

function sides(): FuzzSides {
  const native = nativeSyscalls();
  const pair = functions('1234', '11e8').slice(-2);
  const cdevs = [...rootEdus(), ...pair].map(bindVfio);
  createMdev(MDEV);
  const devices = [...cdevs, mdevCdev(MDEV)].map((name) => [name, name] as const);
  const known = { iommus: new Map(), tracking: new Map() };
  const observation = observe(native, { ownPid: process.pid, held: [], known });
  const host = hostOf(JSON.stringify(snapshotHost(observation, { holders: 'anonymous' })));
  const { syscalls } = new Machine(host, { clock: testClock() });
  return { left: native, right: syscalls, devices, memory: pages(8) };
}

describe('the simulator', () => {
  it(`answers as the kernel does: ${SEQUENCES} sequences of ${LENGTH} calls from seed ${SEED}`, async () => {
    const both = sides();
    const differences: string[] = [];
    for (let seed = SEED; seed < SEED + SEQUENCES && differences.length < 12; seed += 1) {
      const calls = sequenceOf(seed, LENGTH, both.devices.length);
      if ((await runSequence(both, calls)) === null) continue;
      const small = await shrink(both, calls);
      const found = await runSequence(both, small);
      const show = (value: unknown): string =>
        JSON.stringify(value, (_key, each: unknown) =>
          typeof each === 'bigint' ? `0x${each.toString(16)}` : each,
        );
      differences.push(
        `seed ${seed}: kernel ${found?.left}, simulator ${found?.right}\n${small.map(show).join('\n')}`,
      );
    }
    expect(differences.join('\n\n')).toBe('');
  }, 400_000);
});
