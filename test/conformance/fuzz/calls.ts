/**
 * The calls of a random sequence, as text that replays: files and ids are named by where they come
 * from, never by a number that an implementation gave out.
 */
import { IOMMUFD_OPS } from '../../../src/kernel/uapi/iommufd.ts';
import type { IoctlOp } from '../../../src/kernel/uapi/op.ts';
import { VFIO_OPS } from '../../../src/kernel/uapi/vfio.ts';
import { MOCK_OPS } from '../../lab/mock-uapi.ts';
import { seeded } from '../../support/rng.ts';

/** Every ioctl that a sequence may make. */
export const FUZZ_OPS: Readonly<Record<string, IoctlOp & { readonly number?: number }>> = {
  ...IOMMUFD_OPS,
  ...VFIO_OPS,
  ...MOCK_OPS,
};

/** The name of an ioctl; `MOCK_OPS` are operations of one. */
export type FuzzOp = keyof typeof IOMMUFD_OPS | keyof typeof VFIO_OPS | keyof typeof MOCK_OPS;

/** What an id was given out for. */
export type IdKind = 'ioas' | 'hwpt' | 'device' | 'stdev';

/** The id of that kind which the context gave out as the `nth` latest, be it alive, stale or reused; 0 for none. */
export interface IdRef {
  readonly ref: IdKind;
  readonly nth: number;
}

/** The number of an access file: the `access`-th that was made. */
export interface AccessRef {
  readonly access: number;
}

/** What a user pointer leads to: pages of the memory that both sides have, or bytes that are compared afterwards. */
export type BufferSpec =
  | { readonly memory: number }
  | { readonly words: readonly bigint[] }
  | { readonly bytes: readonly number[] };

/** An ioctl on a context or on a device file. */
export interface IoctlCall {
  readonly do: 'ioctl';
  readonly on: 'context' | 'file';
  readonly at: number;
  readonly op: FuzzOp;
  readonly fields: Readonly<Record<string, number | bigint | IdRef | AccessRef>>;
  readonly buffers?: Readonly<Record<string, BufferSpec>>;
}

/** One call of a sequence. Files and contexts are named by their place in the sequence's tables. */
export type FuzzCall =
  | { readonly do: 'open-context' }
  | { readonly do: 'close-context'; readonly context: number }
  | { readonly do: 'open-device'; readonly device: number }
  | { readonly do: 'close-device'; readonly file: number }
  | { readonly do: 'close-access'; readonly access: number }
  | { readonly do: 'bind'; readonly file: number; readonly context: number }
  | IoctlCall;

/** One choice of a generator, and how often it is taken beside the others. */
export type Choice = readonly [weight: number, make: () => FuzzCall];

const KINDS: readonly IdKind[] = ['ioas', 'hwpt', 'device', 'stdev'];
const ODD_IDS = [0, 1000, 0x7fff_ffff, 0xffff_ffff];

/** Draws from a seed. */
export class Draw {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = seeded(seed);
  }

  /** A number below `count`. */
  below(count: number): number {
    return Math.floor(this.#random() * count);
  }

  chance(probability: number): boolean {
    return this.#random() < probability;
  }

  of<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T;
  }

  /** Mostly an id of that kind, sometimes one of another kind, a small number, or nonsense. */
  id(kind: IdKind): IdRef | number {
    const nth = this.chance(0.6) ? 0 : this.below(4);
    if (this.chance(0.75)) return { ref: kind, nth };
    if (this.chance(0.55)) return { ref: this.of(KINDS), nth };
    return this.chance(0.75) ? 1 + this.below(8) : this.of(ODD_IDS);
  }

  /** One of the choices, by weight. */
  call(choices: readonly Choice[]): FuzzCall {
    const total = choices.reduce((sum, [weight]) => sum + weight, 0);
    let left = this.below(total);
    for (const [weight, make] of choices) {
      if (left < weight) return make();
      left -= weight;
    }
    throw new Error('the weights add up');
  }
}
