/** The simulator against the kernel's selftest mock, call by call, on random sequences. */
import { describe, expect, it } from 'vitest';
import { nativeSyscalls } from '../../../src/kernel/native/syscalls.ts';
import { MOCK_MEMORY_BYTES, mockSequence } from '../../conformance/fuzz/mock-sequences.ts';
import { hunt } from '../../conformance/fuzz/run.ts';
import { mockMachine } from '../../conformance/mock-machine.ts';
import { alignedMemory, budget, LENGTH, SEED } from '../fuzz-lab.ts';

const SEQUENCES = budget(400);

describe('the simulator with mock devices', () => {
  it(`answers as the kernel does: ${SEQUENCES} sequences of ${LENGTH} calls from seed ${SEED}`, async () => {
    const both = {
      left: {
        syscalls: nativeSyscalls(),
        devices: [],
        memory: alignedMemory(MOCK_MEMORY_BYTES),
      },
      right: { syscalls: mockMachine(), devices: [], memory: new Uint8Array(MOCK_MEMORY_BYTES) },
    };
    const start = Date.now();
    const differences = await hunt(both, {
      seed: SEED,
      sequences: SEQUENCES,
      sequenceOf: (seed) => mockSequence(seed, LENGTH),
      most: 12,
    });
    console.log(
      `figure: mock fuzz, ${SEQUENCES} sequences from seed ${SEED} in ${Date.now() - start} ms`,
    );
    expect(differences.join('\n\n')).toBe('');
  }, 460_000);
});
