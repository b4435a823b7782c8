/**
 * A simulated host whose daemon can die and come back: at its n-th call, with the call done, or in the middle of
 * its n-th write of the journal, with any part of it written.
 */

import type { DeviceKey } from '../../src/base/ids.ts';
import { type Attempt, applyAttempt, type Planned, planAttempt } from '../../src/engine/attempt.ts';
import { emptyState } from '../../src/engine/durable-journal.ts';
import { type ManagedHost, observeHost, runContextOf } from '../../src/engine/host.ts';
import { encodeEntry, JOURNAL_FORMAT } from '../../src/engine/journal-log.ts';
import { type Recovery, recover } from '../../src/engine/recover.ts';
import { buildGraph } from '../../src/graph/build.ts';
import { Machine } from '../../src/kernel/sim/machine.ts';
import { DEFAULT_OPTIONS } from '../../src/plan/planner-options.ts';
import type { Config } from '../../src/spec/config.ts';
import type { HostDocument } from '../../src/spec/types.generated.ts';
import { attachments } from '../sim/looks.ts';
import { Monitor } from '../sim/monitor.ts';
import { Process, Surroundings } from '../sim/process.ts';
import { testClock } from '../support/world.ts';

/** When the process dies; `share`: how much of the line reaches the disk, from 0 to 1. */
export type Death =
  | { readonly at: 'call' | 'writing-call'; readonly n: number }
  | { readonly at: 'write'; readonly n: number; readonly share: number };

/** What became of work that may have been cut short. */
export type Fate<T> = { readonly died: true } | { readonly died: false; readonly value: T };

/** One host, with one daemon after another. */
export class CrashWorld {
  readonly machine: Machine;
  readonly monitor: Monitor;
  readonly around = new Surroundings();
  process: Process;
  #host: ManagedHost;
  #countdown = 0;
  #countsWriting = false;
  #onDeath: () => void = () => undefined;

  constructor(document: HostDocument) {
    this.machine = new Machine(document, { clock: testClock() });
    this.monitor = new Monitor(this.machine);
    this.#keepHeld();
    const { calls } = this.machine;
    const push = calls.push.bind(calls);
    calls.push = (...made) => {
      for (const { writing } of made) {
        if (!writing && this.#countsWriting) continue;
        this.#countdown -= 1;
        if (this.#countdown === 0) this.#die();
      }
      return push(...made);
    };
    this.process = this.#begin();
    this.#host = this.#hostOf(this.process, document.metadata.name);
  }

  get host(): ManagedHost {
    return this.#host;
  }

  plan(config: Config): Planned {
    const options = { ...DEFAULT_OPTIONS, removals: 'now', removalsAllowed: 99 } as const;
    return planAttempt(this.host, config, options);
  }

  apply(config: Config): Promise<Attempt> {
    return this.run(this.plan(config), config);
  }

  run(planned: Planned, config: Config): Promise<Attempt> {
    return applyAttempt(this.host, planned, config, { parallel: 4 });
  }

  /** Does the work, unless the process dies of it. */
  async until<T>(death: Death | null, work: () => Promise<T>): Promise<Fate<T>> {
    this.#countsWriting = death?.at === 'writing-call';
    if (death?.at === 'write') {
      this.process.dieAtAppend = death.n;
      this.process.shareWritten = death.share;
    } else this.#countdown = death?.n ?? 0;
    const dead = new Promise<Fate<T>>((resolve) => {
      this.#onDeath = () => resolve({ died: true });
    });
    const done = work().then(
      (value): Fate<T> => ({ died: false, value }),
      (error: unknown) => {
        if (this.process.isAlive) throw error;
        return { died: true } as const;
      },
    );
    const fate = await Promise.race([dead, done]);
    this.#countdown = 0;
    this.process.dieAtAppend = 0;
    // What is in the kernel ends before the process does.
    for (let turns = 0; turns < 5; turns += 1) await new Promise((go) => setImmediate(go));
    return this.process.isAlive ? fate : { died: true };
  }

  /** The next process begins and recovers, unless it dies of it. */
  restart(death: Death | null = null): Promise<Fate<Recovery>> {
    const inherited = this.around.renumber(this.machine.restart(this.around.kept));
    this.process = this.#begin();
    this.#host = this.#hostOf(this.process, this.#host.hostName);
    const { journal } = this.process;
    return this.until(death, () => recover({ ...runContextOf(this.host), journal }, inherited));
  }

  /** What the kernel's answers contradict. */
  contradictions(): readonly string[] {
    const { observation } = observeHost(this.host);
    return [...buildGraph(observation).contexts.values()].flatMap((each) => each.contradictions);
  }

  attachments(): ReadonlyMap<DeviceKey, object> {
    return attachments(this.machine);
  }

  #die(): void {
    this.process.kill();
    this.#onDeath();
  }

  #begin(): Process {
    return new Process(this.around, this.monitor.syscalls, () => this.#onDeath());
  }

  #hostOf(process: Process, hostName: string | null): ManagedHost {
    const { known } = this.machine;
    const { journal, keeper, syscalls } = process;
    return { syscalls, journal, keeper, known, clock: testClock(), hostName, ownPid: 0 };
  }

  /** What the document says is held was kept by an earlier process. */
  #keepHeld(): void {
    const contexts = this.machine.held;
    const fds = contexts.flatMap(({ fd, devices }) => [fd, ...devices.map((each) => each.fd)]);
    const kept = fds.map((fd, index) => [`f${index + 1}`, fd] as const);
    for (const [tag, fd] of kept) this.around.store.set(tag, fd as never);
    const state = { ...emptyState(null), contexts, kept, next: fds.length + 1 };
    const first = { kind: 'state', formatVersion: JOURNAL_FORMAT, state } as const;
    this.around.text = encodeEntry(first);
  }
}
