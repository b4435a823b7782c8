/**
 * An `edu` that copies one pattern after another from a page of memory through itself to the next page,
 * and an account of it: every byte is compared, and it is known which changes fell between the command of
 * a transfer and its end, and which transfers ended while a change was being made.
 * QEMU's `edu` moves all bytes at the end of its 100 ms, at once. So this shows that translation is right
 * before and after a change; a transfer that ends within one may be lost, and is then counted as lost.
 */
import { type Direction, EDU_LENGTH_MAX, type Edu, pages } from './edu.ts';

const PAGE = 4096;

/** A device under load. */
export class Copier {
  readonly memory = pages(2);
  readonly iova: bigint;
  readonly #edu: Edu;
  readonly #seed: number;
  readonly #rounds: { readonly transfers: readonly number[]; readonly wrong: number }[] = [];
  readonly #cut = new Set<number>();
  /** Transfers begun. */
  transfers = 0;
  /** Changes that began after the command of a transfer and ended before its end. */
  changesInFlight = 0;

  /** `number` tells devices apart: it gives the address and the patterns. */
  constructor(edu: Edu, number: number) {
    this.#edu = edu;
    this.#seed = number + 1;
    this.iova = 0x1000000n + BigInt(number) * 0x10000n;
  }

  /** Copies so many patterns. */
  async rounds(count: number): Promise<void> {
    for (let round = 0; round < count; round += 1) await this.#round();
  }

  /** Bytes that were compared. */
  get compared(): number {
    return this.#rounds.length * PAGE;
  }

  /** Bytes that were not what they should be, or were written beside the target, though no change was under way when their transfers ended. */
  get wrong(): number {
    return this.#rounds
      .filter(({ transfers }) => !transfers.some((transfer) => this.#cut.has(transfer)))
      .reduce((sum, { wrong }) => sum + wrong, 0);
  }

  /** Transfers that ended while a change was being made. */
  get cut(): number {
    return this.#cut.size;
  }

  /** Patterns that did not arrive, because such a transfer was refused. */
  get lost(): number {
    return this.#rounds.filter(
      ({ transfers, wrong }) => wrong > 0 && transfers.some((transfer) => this.#cut.has(transfer)),
    ).length;
  }

  /** A change of the device's HWPT begins; call the answer when it has ended. */
  changeBegins(): () => void {
    const before = this.#running();
    return () => {
      const after = this.#running();
      if (before.busy && after.busy && before.transfer === after.transfer)
        this.changesInFlight += 1;
      const first = before.busy ? before.transfer : before.transfer + 1;
      const last = after.busy ? after.transfer - 1 : after.transfer;
      for (let transfer = first; transfer <= last; transfer += 1) this.#cut.add(transfer);
    };
  }

  #running(): { readonly transfer: number; readonly busy: boolean } {
    return { transfer: this.transfers, busy: this.#edu.busy };
  }

  async #round(): Promise<void> {
    const source = this.memory.subarray(0, PAGE);
    const target = this.memory.subarray(PAGE);
    fill(source, this.#seed * 7919 + this.transfers);
    for (const [at, value] of source.entries()) target[at] = ~value;
    const transfers = [
      await this.#transfer('from-memory', this.iova),
      await this.#transfer('to-memory', this.iova + BigInt(PAGE)),
    ];
    let wrong = 0;
    for (const [at, value] of source.entries()) {
      const expected = at < EDU_LENGTH_MAX ? value : ~value & 0xff;
      if (target[at] !== expected) wrong += 1;
    }
    this.#rounds.push({ transfers, wrong });
  }

  async #transfer(direction: Direction, iova: bigint): Promise<number> {
    this.transfers += 1;
    await this.#edu.transfer(direction, iova, EDU_LENGTH_MAX);
    return this.transfers;
  }
}

/** Bytes that differ for every seed (xorshift32). */
function fill(bytes: Uint8Array, seed: number): void {
  let state = seed | 1;
  for (let at = 0; at < bytes.length; at += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[at] = state;
  }
}
