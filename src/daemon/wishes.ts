/** What persons asked of the daemon and what is still to be honoured. Values that the loop reads at every pass. */
import type { Confirmation } from './control.ts';

/** Pauses, confirmations: set from outside, read by the loop. */
export class Wishes {
  #suspendedBy: string | null;
  #confirmation: Confirmation | null = null;
  readonly #saveSuspended: (by: string | null) => void;

  /** `saveSuspended` makes a pause outlive the process: a restart must not end what a person began. */
  constructor(
    suspendedBy: string | null = null,
    saveSuspended: (by: string | null) => void = () => undefined,
  ) {
    this.#suspendedBy = suspendedBy;
    this.#saveSuspended = saveSuspended;
  }

  /** Who paused it; null: nobody. */
  get suspendedBy(): string | null {
    return this.#suspendedBy;
  }

  suspend(by: string): void {
    this.#suspendedBy = by;
    this.#saveSuspended(by);
  }

  resume(): void {
    this.#suspendedBy = null;
    this.#saveSuspended(null);
  }

  confirm(confirmation: Confirmation): void {
    this.#confirmation = confirmation;
  }

  /** What is confirmed for this digest. A confirmation of another digest approves nothing, then or later. */
  confirmationFor(digest: string): Confirmation | null {
    if (this.#confirmation?.digest !== digest) this.#confirmation = null;
    return this.#confirmation;
  }

  /** The confirmation was acted on: it is over. One that came meanwhile is not. */
  spend(confirmation: Confirmation | null): void {
    if (this.#confirmation === confirmation) this.#confirmation = null;
  }
}
