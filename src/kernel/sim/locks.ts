/**
 * Time and order of slow calls in the model: calls on one dev_set, and calls on one context, run
 * one after another and take as long as the Host document says.
 * Source: vfio_device_set.lock, the IOAS mutex (v6.12).
 */
import type { Clock } from '../../base/clock.ts';
import type { LatencyDocument } from '../../spec/types.generated.ts';

const LATENCY_OF: Readonly<Record<string, keyof LatencyDocument>> = {
  VFIO_DEVICE_BIND_IOMMUFD: 'bind',
  VFIO_DEVICE_ATTACH_IOMMUFD_PT: 'attach',
  IOMMU_HWPT_ALLOC: 'alloc',
  close: 'close',
};

/** Serialises calls by lane and lets them take their time. */
export class Locks {
  readonly #clock: Clock;
  readonly #latencies: LatencyDocument;
  readonly #tails = new Map<string, Promise<unknown>>();

  constructor(clock: Clock, latencies: LatencyDocument) {
    this.#clock = clock;
    this.#latencies = latencies;
  }

  /** Runs `work` when the lane is free, after the latency of `call` and whatever else holds it up. */
  run<T>(lane: string, call: string, held: () => Promise<void>, work: () => T): Promise<T> {
    const before = this.#tails.get(lane) ?? Promise.resolve();
    const mine = before.then(async () => {
      const ms = this.#latencies[LATENCY_OF[call] ?? 'bind'] ?? 0;
      if (LATENCY_OF[call] !== undefined && ms > 0) await this.#clock.sleep(ms);
      await held();
      return work();
    });
    this.#tails.set(
      lane,
      mine.catch(() => undefined),
    );
    return mine;
  }
}
