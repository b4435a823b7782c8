/** A source followed through real files, as the daemon follows it, with everything that it came to kept. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { MonotonicMs } from '../../src/base/clock.ts';
import { systemClock } from '../../src/cli/system-clock.ts';
import { Intake, type IntakeResult, type Loaded } from '../../src/daemon/intake.ts';
import { type FollowedSource, type FollowOptions, followSource } from '../../src/source/follow.ts';

/** A config of one container. What tells states apart is `rev`. */
export function container(name: string, rev: string, devices: readonly string[] = []): string {
  const claims = devices.map((pci) => `    - pci: "${pci}"\n`).join('');
  return `apiVersion: autodomain.dev/v1alpha1
kind: Container
metadata:
  name: ${name}
  labels: { rev: ${rev} }
spec:
  devices:${claims === '' ? ' []' : `\n${claims.trimEnd()}`}
`;
}

/** A config as text: `a=r1 b=r2`. */
export function textOf({ config }: Loaded): string {
  return config.containers.map(({ name, labels }) => `${name}=${labels['rev']}`).join(' ');
}

/** How a test follows. Without more, only events make it look again: a timer would hide one that is missed. */
export interface Following extends Partial<Omit<FollowOptions, 'clock'>> {
  readonly settleMs?: number;
  readonly graceMs?: number;
}

/** In memory where that can be: thousands of files on a busy disk take seconds. */
const ROOT = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** A directory of its own for one test. */
export class Place {
  readonly dir = mkdtempSync(join(ROOT, 'autodomain-delivery-'));
  readonly #followed: Followed[] = [];

  path(...names: readonly string[]): string {
    return join(this.dir, ...names);
  }

  /** Writes a file in place, with the directories above it. */
  write(name: string, text: string): void {
    mkdirSync(dirname(this.path(name)), { recursive: true });
    writeFileSync(this.path(name), text);
  }

  follow(name: string, following: Following = {}): Followed {
    const followed = new Followed([this.path(name)], following);
    this.#followed.push(followed);
    return followed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const followed of this.#followed) await followed.close();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** A source with an intake behind it, looked at whenever it says so. */
export class Followed {
  readonly source: FollowedSource;
  readonly intake: Intake;
  readonly results: IntakeResult[] = [];
  /** Every config that came into force, as text. */
  readonly loaded: string[] = [];
  /** What was in force when removals were let go, as text. */
  readonly removalsIn = new Set<string>();
  /** What a look threw, if one did. */
  failure: unknown = null;
  readonly #clock = systemClock();
  readonly #stop = new AbortController();
  readonly #isTimed: boolean;
  readonly #ended: Promise<void>;

  constructor(paths: readonly string[], { settleMs = 20, graceMs = 400, ...more }: Following) {
    this.#isTimed = more.resyncMs !== undefined;
    this.source = followSource(paths, {
      clock: this.#clock,
      random: () => 0.5,
      watch: 'events',
      resyncMs: 600_000,
      ...more,
    });
    this.intake = new Intake({
      clock: this.#clock,
      settleMs,
      removalGraceMs: graceMs,
      read: () => this.source.read(),
    });
    this.#ended = this.#run().catch((error) => {
      this.failure = error;
    });
  }

  get now(): MonotonicMs {
    return this.#clock.now();
  }

  /** The last config that came into force, as text. */
  get inForce(): string | null {
    return this.loaded.at(-1) ?? null;
  }

  get last(): IntakeResult | null {
    return this.results.at(-1) ?? null;
  }

  /** Waits until it is so. */
  async until(isSo: () => boolean): Promise<void> {
    for (let tries = 0; tries < 1500; tries += 1) {
      if (this.failure !== null) throw this.failure;
      if (isSo()) return;
      await pause(10);
    }
    const { loaded, last } = this;
    throw new Error(`it never came to that: ${JSON.stringify({ loaded, last })}`);
  }

  /** Waits until it is in force, and until nothing makes it look again: what comes then is heard, or not. */
  async untilInForce(text: string): Promise<void> {
    await this.until(() => this.inForce === text);
    await this.untilCalm();
  }

  /** At once where a timer makes it look all the time. */
  async untilCalm(): Promise<void> {
    if (this.#isTimed) return;
    for (let looks = -1; looks !== this.results.length || this.#graceEndsSoon(); ) {
      looks = this.results.length;
      await pause(CALM_MS);
    }
  }

  #graceEndsSoon(): boolean {
    const leftMs = this.intake.graceLeftMs(this.now);
    return leftMs > 0 && leftMs < 1000;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
    await this.source.close();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const result = await this.intake.look();
      this.results.push(result);
      if (result.state === 'loaded') this.loaded.push(textOf(result.loaded));
      const now = this.#clock.now();
      if (this.intake.removalsSettled(now)) this.removalsIn.add(this.inForce ?? '');
      const againMs = 'againMs' in result ? result.againMs : this.intake.graceLeftMs(now);
      await this.source.nap(againMs > 0 ? againMs : 600_000, signal);
    }
  }
}

/** Longer than a burst of hints is gathered, and than chokidar needs to begin. */
const CALM_MS = 150;

/** Lets time pass. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
