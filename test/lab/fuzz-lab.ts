/** What the fuzz suites of the lab share: the budget that the environment sets, memory, the verdict. */
import { addressOf } from '../../src/kernel/native/libc.ts';

/** The calls of a sequence. */
export const LENGTH = 40;
/** The first seed: LAB_SEED. */
export const SEED = Number(process.env['LAB_SEED'] ?? 1);

/** The sequences that a suite runs: LAB_SEQUENCES, or what fits into every run of the lab. */
export function budget(usual: number): number {
  return Number(process.env['LAB_SEQUENCES'] ?? usual);
}

/** Memory that begins where its length divides the address, so that the simulator's buffer is as far from every boundary. */
export function alignedMemory(bytes: number): Uint8Array {
  const all = new Uint8Array(2 * bytes);
  const offset = (bytes - Number(addressOf(all) % BigInt(bytes))) % bytes;
  return all.subarray(offset, offset + bytes);
}
