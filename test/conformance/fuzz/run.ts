/**
 * Sequences in lock step on two sides: every errno, every output field and every buffer must agree.
 * A difference is shrunk to the calls that it needs.
 */
import type { FuzzCall } from './calls.ts';
import { Side, type SideSetup } from './side.ts';

/** The two implementations. */
export interface FuzzSides {
  readonly left: SideSetup;
  readonly right: SideSetup;
}

/** Where two sides part. */
export interface Difference {
  readonly at: number;
  readonly call: FuzzCall;
  readonly left: string;
  readonly right: string;
}

/** The first call whose answers differ, with both answers; null where all agree. */
export async function runSequence(
  sides: FuzzSides,
  calls: readonly FuzzCall[],
): Promise<Difference | null> {
  const left = new Side(sides.left);
  const right = new Side(sides.right);
  try {
    for (const [at, call] of calls.entries()) {
      const [a, b] = [await left.answer(call), await right.answer(call)];
      if (a !== b) return { at, call, left: a, right: b };
    }
    return null;
  } finally {
    await left.closeAll();
    await right.closeAll();
  }
}

/** Leaves calls out while the rest still differs, until none can be left out. */
export async function shrink(
  sides: FuzzSides,
  calls: readonly FuzzCall[],
): Promise<readonly FuzzCall[]> {
  const found = await runSequence(sides, calls);
  let smallest = calls.slice(0, (found?.at ?? calls.length) + 1);
  for (let before = -1; before !== smallest.length; ) {
    before = smallest.length;
    for (let index = smallest.length - 1; index >= 0; index -= 1) {
      const without = smallest.filter((_, at) => at !== index);
      if ((await runSequence(sides, without)) !== null) smallest = without;
    }
  }
  return smallest;
}

/** A hunt for differences. */
export interface Hunt {
  readonly seed: number;
  readonly sequences: number;
  /** The calls of the sequence with that seed. */
  sequenceOf(seed: number): readonly FuzzCall[];
  /** Differences after which it gives up. */
  readonly most: number;
}

/** Runs sequence after sequence; each sort of difference as text that says how to replay it. Empty: none. */
export async function hunt(sides: FuzzSides, what: Hunt): Promise<readonly string[]> {
  const differences = new Map<string, string>();
  // Half of the calls are refused, and a stack for each would cost more than all the rest.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  for (let seed = what.seed; seed < what.seed + what.sequences; seed += 1) {
    if (differences.size >= what.most) break;
    const calls = what.sequenceOf(seed);
    const found = await runSequence(sides, calls);
    if (found === null || differences.has(sortOf(found))) continue;
    differences.set(sortOf(found), await told(sides, seed, calls));
  }
  Error.stackTraceLimit = stackTraceLimit;
  return [...differences.values()];
}

async function told(sides: FuzzSides, seed: number, calls: readonly FuzzCall[]): Promise<string> {
  const small = await shrink(sides, calls);
  const found = await runSequence(sides, small);
  const shown = small.map(show).join('\n');
  return `LAB_SEED=${seed}\n  left  ${found?.left}\n  right ${found?.right}\n${shown}`;
}

/** Differences of one sort have one reason more often than not: the first of each is told. */
function sortOf({ call, left, right }: Difference): string {
  const name = call.do === 'ioctl' ? call.op : call.do;
  return [name, left, right].map((text) => text.split(' ')[0]).join();
}

function show(call: FuzzCall): string {
  return JSON.stringify(call, (_key, each: unknown) =>
    typeof each === 'bigint' ? `0x${each.toString(16)}` : each,
  );
}
