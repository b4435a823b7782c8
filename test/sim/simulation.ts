/**
 * The whole daemon in one process with simulated time: files, loop, planner, engine and a model of
 * the kernel, while an operator edits, devices come and go, other processes take them, and calls
 * fail. Everything follows from the seed.
 */
import { createHash } from 'node:crypto';
import { ReconcileLoop, type WatchEvent } from '../../src/daemon/loop.ts';
import { formatEvent } from '../../src/daemon/said.ts';
import { Wakeup } from '../../src/daemon/wakeup.ts';
import { Wishes } from '../../src/daemon/wishes.ts';
import { type Attempt, planAttempt } from '../../src/engine/attempt.ts';
import { type ManagedHost, runContextOf } from '../../src/engine/host.ts';
import type { Journal } from '../../src/engine/journal.ts';
import { recover } from '../../src/engine/recover.ts';
import { Machine } from '../../src/kernel/sim/machine.ts';
import { DEFAULT_OPTIONS } from '../../src/plan/planner-options.ts';
import type { Source } from '../../src/source/files.ts';
import type { Config } from '../../src/spec/config.ts';
import { readConfig } from '../../src/spec/read-config.ts';
import { describeAction } from '../../src/steps/index.ts';
import { leaksOf } from '../support/leaks.ts';
import { needlessStep } from '../support/necessary.ts';
import { seeded } from '../support/rng.ts';
import { SimClock } from './clock.ts';
import { Ears, slowToRelease } from './ears.ts';
import {
  claimsTooMuch,
  DisruptionCount,
  foreignWrites,
  TrackingWatch,
  unmetIn,
  unplannedEffects,
} from './invariants.ts';
import {
  activelyTracked,
  attachments,
  attemptLines,
  devicesOf,
  inBytes,
  isHeld,
  lostSince,
  planOf,
  same,
} from './looks.ts';
import { Monitor } from './monitor.ts';
import { PLANTS, type Plant } from './plants.ts';
import { notesOf, Process, Surroundings } from './process.ts';
import { Chance, ConfigModel, randomHost } from './scenario.ts';
import type { SimulationOptions, Verdict, Violation } from './verdict.ts';
import { WorldEvents } from './world-events.ts';

const QUIESCE_EVERY = 8;
/** Longer than the longest back-off of the loop. */
const PATIENCE_MS = 2 * 300_000;
const PAUSES_MS = [20, 300, 700, 2_000, 11_000, 40_000, 120_000];

/** Runs a simulation and says what it found. */
export async function simulate(options: SimulationOptions): Promise<Verdict> {
  return new Simulation(options).run();
}

interface Life {
  readonly process: Process;
  readonly host: ManagedHost;
  readonly stop: AbortController;
  readonly wakeup: Wakeup;
  readonly ears: Ears;
  loop: Promise<void>;
}

class Simulation {
  readonly #options: SimulationOptions;
  readonly #chance: Chance;
  readonly #clock = new SimClock();
  readonly #machine: Machine;
  readonly #monitor: Monitor;
  readonly #model: ConfigModel;
  readonly #plant: Plant;
  readonly #around = new Surroundings();
  readonly #disruptions: DisruptionCount;
  readonly #tracking: TrackingWatch;
  readonly #claimed: ReadonlySet<string>;
  readonly #world: WorldEvents;
  readonly #violations: Violation[] = [];
  #files: readonly { path: string; text: string }[];
  #armed: { left: number; event: () => void } | null = null;
  #last: WatchEvent['kind'] | 'held' | null = null;
  #good: Config | null = null;
  #step = 0;
  #reads = 0;
  #attempts = 0;
  #calls = 0;
  #writes = 0;
  #restarts = 0;
  #life: Life;

  constructor(options: SimulationOptions) {
    this.#options = options;
    this.#plant = options.plant === undefined ? {} : PLANTS[options.plant];
    this.#chance = new Chance(seeded(options.seed));
    const { host, offer } = randomHost(this.#chance);
    this.#machine = new Machine(host, { clock: this.#clock });
    this.#monitor = new Monitor(this.#machine);
    this.#model = new ConfigModel(this.#chance, offer, options.tracked === true);
    this.#files = this.#model.files();
    this.#claimed = new Set([...offer.groups.flat(), ...offer.mdevs]);
    this.#disruptions = new DisruptionCount(this.#machine);
    this.#world = new WorldEvents(this.#machine, this.#chance, {
      claimed: this.#claimed,
      happened: (text, device) => {
        this.#log(text);
        if (device !== null) this.#disruptions.forgive(device);
      },
    });
    this.#tracking = new TrackingWatch(this.#machine);
    this.#listen();
    this.#life = this.#newLife();
  }

  async run(): Promise<Verdict> {
    const { seed, steps } = this.#options;
    this.#live();
    for (this.#step = 1; this.#step <= steps; this.#step += 1) {
      this.#act();
      await this.#clock.advance(this.#chance.pick(PAUSES_MS));
      if (!this.#life.process.isAlive) await this.#restart();
      if (this.#step % QUIESCE_EVERY === 0) await this.#quiesce();
      if (this.#violations.length > 0 && this.#options.plant === undefined) break;
    }
    this.#life.stop.abort();
    this.#wake();
    await this.#clock.advance(PATIENCE_MS);
    await this.#life.loop;
    return {
      seed,
      steps: Math.min(this.#step, steps),
      attempts: this.#attempts,
      restarts: this.#restarts,
      calls: this.#calls + this.#machine.calls.length,
      violations: this.#violations,
    };
  }

  get #host(): ManagedHost {
    return this.#life.host;
  }

  get #journal(): Journal {
    return this.#life.process.journal;
  }

  #newLife(): Life {
    const process = new Process(this.#around, this.#monitor.syscalls, () =>
      this.#log('the process dies while it writes its journal'),
    );
    const port = this.#plant.syscalls?.(process.syscalls, this.#machine) ?? process.syscalls;
    const host: ManagedHost = {
      syscalls: port,
      journal: this.#plant.journal?.(process.journal) ?? process.journal,
      keeper: this.#plant.keeper?.(process.keeper) ?? process.keeper,
      known: this.#machine.known,
      clock: this.#clock,
      hostName: 'sim',
      ownPid: 0,
    };
    const wakeup = new Wakeup(this.#clock);
    const ears = new Ears(this.#options.hears ?? 'nothing', this.#machine, host, wakeup);
    return { process, host, stop: new AbortController(), wakeup, ears, loop: Promise.resolve() };
  }

  #live(): void {
    const life = this.#life;
    life.ears.follow();
    const loop = new ReconcileLoop({
      host: life.host,
      clock: this.#clock,
      timing: { settleMs: 500, removalGraceMs: 30_000, resyncMs: 10_000 },
      parallel: 4,
      drift: 'correct',
      signal: life.stop.signal,
      wakeup: life.wakeup,
      wishes: new Wishes(),
      random: seeded(this.#options.seed),
      read: () => this.#read(),
      report: (event) => {
        if (life.process.isAlive) this.#heard(event);
      },
    });
    life.loop = loop.run().catch((error: unknown) => {
      if (!life.process.isAlive) return;
      this.#violated('crash', String((error as Error).stack ?? error));
    });
  }

  /** The process is gone; the next one recovers, and may die of it again. */
  async #restart(): Promise<void> {
    for (;;) {
      this.#life.stop.abort();
      this.#life.ears.end();
      // What is in the kernel ends before the process does.
      await this.#clock.advance(1000);
      this.#checkTracking();
      this.#restarts += 1;
      const before = attachments(this.#machine);
      const inherited = this.#around.renumber(this.#machine.restart(this.#around.kept));
      this.#life = this.#newLife();
      const { process, host } = this.#life;
      if (this.#chance.is(0.3)) this.#armDeath();
      const pending = devicesOf(process.journal.intents.map(({ action }) => action));
      const run = { ...runContextOf(host), journal: process.journal };
      const done = recover(run, inherited).then(
        (recovery) => notesOf(recovery).map((note) => this.#log(note)),
        (error: unknown) => {
          if (process.isAlive) this.#violated('restart', String(error));
        },
      );
      await this.#clock.advance(2000);
      if (!process.isAlive) continue;
      await done;
      for (const device of pending) this.#disruptions.forgive(device);
      this.#monitor.take();
      for (const device of lostSince(this.#machine, before, pending)) {
        this.#violated('restart', `${device} was attached before and is not after`);
      }
      for (const leak of leaksOf(this.#machine, process.journal)) this.#violated('leaks', leak);
      this.#good = null;
      this.#live();
      return;
    }
  }

  /** The process dies at one of its next calls or writes. */
  #armDeath(): void {
    const { process } = this.#life;
    if (this.#chance.is(0.3)) process.dieAtAppend = 1 + this.#chance.below(15);
    else {
      const event = (): void => {
        this.#log('the process is killed');
        process.kill();
      };
      this.#armed = { left: 1 + this.#chance.below(60), event };
    }
  }

  /** One thing that happens, at once or in the middle of what the engine does next. */
  #act(): void {
    if (this.#options.crashes && this.#chance.is(0.4)) {
      this.#armDeath();
      this.#log(`edit: ${this.#model.edit()}`);
      this.#files = this.#model.files();
      this.#wake();
      return;
    }
    const event = this.#event();
    if (this.#chance.is(0.4)) this.#armed = { left: 1 + this.#chance.below(60), event };
    else event();
  }

  #event(): () => void {
    const choice = this.#chance.below(100);
    if (choice >= 90) return () => this.#wake();
    if (choice >= 35) return this.#world.event(choice);
    return () => {
      this.#log(`edit: ${this.#model.edit()}`);
      this.#files = this.#model.files();
      this.#wake();
    };
  }

  /** Everybody leaves the host alone: it must come to rest, and be what the config says. */
  async #quiesce(): Promise<void> {
    this.#armed = null;
    this.#machine.faults.disarm();
    this.#world.restore();
    this.#model.repair();
    this.#files = this.#model.files();
    this.#life.process.dieAtAppend = 0;
    this.#wake('request');
    await this.#clock.advance(PATIENCE_MS);
    this.#world.restore();
    await this.#clock.advance(PATIENCE_MS);
    this.#log('the world is quiet');
    if (this.#good === null) return;
    this.#checkRest(this.#good);
    const before = this.#writes;
    await this.#clock.advance(100_000);
    if (this.#writes > before) {
      this.#violated('flapping', 'calls that change something, and nothing has changed');
    }
    if (this.#options.hears === undefined) return;
    const slow = await slowToRelease(this.#machine, this.#clock, this.#chance);
    if (slow !== null) this.#violated('release', `${slow} is removed, and still held`);
  }

  #checkRest(config: Config): void {
    if (this.#last !== 'converged' && this.#last !== 'blocked') {
      this.#violated('convergence', `it does not come to rest: the last word is ${this.#last}`);
    }
    const before = this.#writes;
    const options = { ...DEFAULT_OPTIONS, removals: 'now' } as const;
    const { plan } = planAttempt(this.#host, config, options);
    if (plan.steps.length > 0) {
      const steps = plan.steps.map(describeAction).join('; ');
      this.#violated('idempotence', `at rest, but there is more to do: ${steps}`);
    }
    if (this.#writes > before) this.#violated('honesty', 'planning has written');
    for (const miss of unmetIn(this.#machine, config, plan)) this.#violated('honesty', miss);
    for (const leak of leaksOf(this.#machine, this.#journal)) this.#violated('leaks', leak);
    const shuffled = inBytes(this.#model.shuffledFiles(), this.#plant.shuffled ?? same);
    if (planOf(this.#host, readConfig(shuffled).config) !== planOf(this.#host, config)) {
      this.#violated('order', 'another order of the same documents gives another plan');
    }
  }

  #read(): Source {
    this.#reads += 1;
    const files = inBytes(this.#files, (text) => this.#plant.files?.(text, this.#reads) ?? text);
    const digest = createHash('sha256').update(JSON.stringify(files)).digest('hex');
    return { files, issues: [], digest, revision: null, roots: [], unsettled: null };
  }

  #wake(kind: 'files' | 'request' = 'files'): void {
    this.#life.wakeup.wake({ kind });
  }

  #heard(event: WatchEvent): void {
    this.#last = isHeld(event) ? 'held' : event.kind;
    switch (event.kind) {
      case 'config-loaded':
        this.#good = readConfig(this.#read().files).config;
        this.#disruptions.newRevision();
        break;
      case 'attempted':
        this.#attempted(event.attempt);
        break;
      case 'converged':
        if (this.#good && this.#monitor.take().length > 0) {
          this.#violated('safety', 'a device was touched outside of an attempt');
        }
        break;
      default:
    }
    if (event.kind !== 'attempted') this.#log(formatEvent(event));
  }

  #attempted(attempt: Attempt): void {
    this.#attempts += 1;
    const plan = this.#plant.plan?.(attempt.plan) ?? attempt.plan;
    for (const line of attemptLines(attempt, plan)) this.#log(line);
    this.#life.ears.follow();
    const effects = this.#monitor.take();
    for (const text of unplannedEffects(plan, effects)) this.#violated('safety', text);
    for (const text of this.#disruptions.tooMany(effects)) this.#violated('disruption', text);
    for (const text of foreignWrites(this.#machine, this.#claimed)) this.#violated('safety', text);
    const needless = needlessStep(plan, attempt.graph);
    if (needless) this.#violated('minimality', `not needed: ${describeAction(needless)}`);
    for (const leak of leaksOf(this.#machine, this.#journal)) this.#violated('leaks', leak);
    this.#checkTracking();
    const lie = claimsTooMuch(attempt, this.#journal, this.#machine);
    if (lie !== null) this.#violated('honesty', lie);
    this.#calls += this.#machine.calls.length;
    this.#machine.calls.length = 0;
  }

  /** Runs what is armed when its call comes, and looks at tracking after every call that changes something. */
  #listen(): void {
    const { calls } = this.#machine;
    const push = calls.push.bind(calls);
    calls.push = (...made) => {
      for (const { writing } of made) {
        if (!writing) continue;
        this.#writes += 1;
        this.#checkTracking();
      }
      const armed = this.#armed;
      if (armed !== null && --armed.left <= 0) {
        this.#armed = null;
        armed.event();
      }
      return push(...made);
    };
  }

  #checkTracking(): void {
    const active = activelyTracked(this.#good);
    for (const text of this.#tracking.lost((key) => active.has(key))) {
      this.#violated('tracking', text);
    }
  }

  #violated(invariant: Violation['invariant'], text: string): void {
    if (this.#violations.some((each) => each.invariant === invariant && each.text === text)) return;
    this.#violations.push({ invariant, step: this.#step, text });
    this.#log(`VIOLATION ${invariant}: ${text}`);
  }

  #log(line: string): void {
    this.#options.log?.(`${String(this.#step).padStart(5)} ${this.#clock.now()} ms  ${line}`);
  }
}
