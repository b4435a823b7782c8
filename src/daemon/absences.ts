/**
 * Since when what a config once named is gone from it. A file that was just deleted may be on its way
 * back, so nothing is removed before its absence has lasted. Not here: how long that is.
 */
import type { MonotonicMs } from '../base/clock.ts';
import type { Claim, Config } from '../spec/config.ts';

/** Everything that earlier configs named and the present one does not. */
export class Absences {
  readonly #since = new Map<string, MonotonicMs>();

  /** Takes over a config. Before the first one anything may have been named, so all of it is gone from then on. */
  take(before: Config | null, now: Config, at: MonotonicMs): void {
    const names = namesOf(now);
    for (const name of names) this.#since.delete(name);
    const gone = before === null ? [ANYTHING] : [...namesOf(before)];
    for (const name of gone) {
      if (!names.has(name) && !this.#since.has(name)) this.#since.set(name, at);
    }
  }

  /** They are meant: forgets them. */
  clear(): void {
    this.#since.clear();
  }

  /** Forgets what has been gone for as long as that. */
  settle(at: MonotonicMs, graceMs: number): void {
    for (const [name, since] of this.#since) {
      if (at - since >= graceMs) this.#since.delete(name);
    }
  }

  /** When the last of them began; null where there is none. */
  get latest(): MonotonicMs | null {
    const all = [...this.#since.values()];
    return all.length === 0 ? null : all.reduce((a, b) => (b > a ? b : a));
  }
}

/** No container has an empty name. */
const ANYTHING = '';

function namesOf({ containers }: Config): ReadonlySet<string> {
  return new Set(
    containers.flatMap(({ name, claims }) => [
      name,
      ...claims.map((claim) => `${name} ${textOf(claim)}`),
    ]),
  );
}

function textOf(claim: Claim): string {
  switch (claim.kind) {
    case 'pci':
      return claim.pci;
    case 'mdev':
      return claim.mdev;
    case 'select':
      return JSON.stringify([claim.select, claim.count]);
  }
}
