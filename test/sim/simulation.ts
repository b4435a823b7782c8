/**
 * The whole daemon in one process with simulated time: files, loop, planner, engine and a model of
 * the kernel, while an operator edits, devices come and go, other processes take them, and calls
 * fail. Everything follows from the seed.
 */
import { createHash } from 'node:crypto';
import { type WatchEvent, watchLoop } from '../../src/daemon/watch.ts';
import { type Attempt, planAttempt } from '../../src/engine/attempt.ts';
import type { ManagedHost } from '../../src/engine/host.ts';
import { MemoryJournal } from '../../src/engine/journal.ts';
import { formatCell } from '../../src/engine/report.ts';
import { Machine } from '../../src/kernel/sim/machine.ts';
import { DEFAULT_OPTIONS } from '../../src/plan/planner-options.ts';
import type { Plan } from '../../src/plan/types.ts';
import type { Source } from '../../src/source/files.ts';
import type { Config } from '../../src/spec/config.ts';
import { formatIssues } from '../../src/spec/format.ts';
import { readConfig } from '../../src/spec/read-config.ts';
import { describeAction } from '../../src/steps/index.ts';
import { leaksOf } from '../support/leaks.ts';
import { needlessStep } from '../support/necessary.ts';
import { seeded } from '../support/rng.ts';
import { SimClock } from './clock.ts';
import {
  claimsTooMuch,
  DisruptionCount,
  foreignWrites,
  type Invariant,
  TrackingWatch,
  unmetIn,
  unplannedEffects,
} from './invariants.ts';
import { Monitor } from './monitor.ts';
import { PLANTS, type Plant } from './plants.ts';
import { Chance, ConfigModel, randomHost } from './scenario.ts';
import { WorldEvents } from './world-events.ts';

/** An invariant that did not hold. */
export interface Violation {
  readonly invariant: Invariant | 'crash';
  readonly step: number;
  readonly text: string;
}

/** What came of a run. */
export interface Verdict {
  readonly seed: number;
  readonly steps: number;
  readonly attempts: number;
  readonly calls: number;
  readonly violations: readonly Violation[];
}

/** How a run goes. */
export interface SimulationOptions {
  readonly seed: number;
  readonly steps: number;
  readonly plant?: Invariant | undefined;
  /** Every container prefers tracking and has it switched on. */
  readonly tracked?: boolean;
  readonly log?: (line: string) => void;
}

const QUIESCE_EVERY = 8;
/** Longer than the longest back-off of the loop. */
const PATIENCE_MS = 2 * 300_000;
const PAUSES_MS = [20, 300, 700, 2_000, 11_000, 40_000, 120_000];

/** Runs a simulation and says what it found. */
export async function simulate(options: SimulationOptions): Promise<Verdict> {
  return new Simulation(options).run();
}

class Simulation {
  readonly #options: SimulationOptions;
  readonly #chance: Chance;
  readonly #clock = new SimClock();
  readonly #machine: Machine;
  readonly #monitor: Monitor;
  readonly #model: ConfigModel;
  readonly #plant: Plant;
  readonly #host: ManagedHost;
  readonly #journal: MemoryJournal;
  readonly #disruptions: DisruptionCount;
  readonly #tracking: TrackingWatch;
  readonly #claimed: ReadonlySet<string>;
  readonly #world: WorldEvents;
  readonly #stop = new AbortController();
  readonly #violations: Violation[] = [];
  #files: readonly { path: string; text: string }[];
  #wake: () => void = () => undefined;
  #armed: { left: number; event: () => void } | null = null;
  #last: WatchEvent['kind'] | null = null;
  #good: Config | null = null;
  #step = 0;
  #reads = 0;
  #attempts = 0;
  #calls = 0;
  #writes = 0;

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
    this.#journal = new MemoryJournal();
    const port = this.#plant.syscalls?.(this.#monitor.syscalls, this.#machine);
    this.#host = {
      syscalls: port ?? this.#monitor.syscalls,
      journal: this.#plant.journal?.(this.#journal) ?? this.#journal,
      known: this.#machine.known,
      clock: this.#clock,
      hostName: 'sim',
      ownPid: 0,
    };
    this.#listen();
  }

  async run(): Promise<Verdict> {
    const { seed, steps } = this.#options;
    const loop = watchLoop({
      host: this.#host,
      clock: this.#clock,
      timing: { settleMs: 500, removalGraceMs: 30_000, resyncMs: 10_000 },
      parallel: 4,
      signal: this.#stop.signal,
      read: () => this.#read(),
      nap: (ms) => this.#nap(ms),
      report: (event) => this.#heard(event),
    }).catch((error: unknown) => this.#violated('crash', String((error as Error).stack ?? error)));
    for (this.#step = 1; this.#step <= steps; this.#step += 1) {
      this.#act();
      await this.#clock.advance(this.#chance.pick(PAUSES_MS));
      if (this.#step % QUIESCE_EVERY === 0) await this.#quiesce();
      if (this.#violations.length > 0 && this.#options.plant === undefined) break;
    }
    this.#stop.abort();
    this.#wake();
    await this.#clock.advance(PATIENCE_MS);
    await loop;
    return {
      seed,
      steps: Math.min(this.#step, steps),
      attempts: this.#attempts,
      calls: this.#calls + this.#machine.calls.length,
      violations: this.#violations,
    };
  }

  /** One thing that happens, at once or in the middle of what the engine does next. */
  #act(): void {
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
    this.#wake();
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
    const other = planOf(this.#host, this.#shuffled());
    if (other !== planOf(this.#host, config)) {
      this.#violated('order', 'another order of the same documents gives another plan');
    }
  }

  #shuffled(): Config | null {
    const files = this.#model.shuffledFiles().map(({ path, text }) => ({
      path,
      bytes: new TextEncoder().encode(this.#plant.shuffled?.(text) ?? text),
    }));
    return readConfig(files).config;
  }

  #read(): Source {
    this.#reads += 1;
    const files = this.#files.map(({ path, text }) => {
      const read = this.#plant.files?.(text, this.#reads) ?? text;
      return { path, bytes: new TextEncoder().encode(read) };
    });
    const digest = createHash('sha256').update(JSON.stringify(files)).digest('hex');
    return { files, issues: [], digest, revision: null };
  }

  #nap(ms: number): Promise<void> {
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    return this.#clock.sleep(ms, woken.signal);
  }

  #heard(event: WatchEvent): void {
    this.#last = event.kind;
    switch (event.kind) {
      case 'config-loaded':
        this.#good = readConfig(this.#read().files).config;
        this.#disruptions.newRevision();
        break;
      case 'attempted':
        this.#attempted(event.attempt);
        break;
      case 'blocked':
        this.#log(
          `blocked: ${event.plan.blocked.map(({ kind, container }) => `${container} ${kind}`)}`,
        );
        break;
      case 'converged':
        this.#log('converged');
        if (this.#good && this.#monitor.take().length > 0) {
          this.#violated('safety', 'a device was touched outside of an attempt');
        }
        break;
      case 'config-invalid':
        this.#log(formatIssues(event.issues));
    }
  }

  #attempted(attempt: Attempt): void {
    this.#attempts += 1;
    const plan = this.#plant.plan?.(attempt.plan) ?? attempt.plan;
    this.#logAttempt(attempt, plan);
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

  #logAttempt(attempt: Attempt, plan: Plan): void {
    if (!this.#options.log) return;
    for (const step of plan.steps) this.#log(`  ${step.id} ${describeAction(step)}`);
    for (const cell of attempt.result.cells) this.#log(`  ${formatCell(cell)}`);
    for (const { text } of attempt.drift) this.#log(`  not as planned: ${text}`);
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
      if (this.#armed) {
        this.#armed.left -= 1;
        if (this.#armed.left <= 0) {
          const { event } = this.#armed;
          this.#armed = null;
          event();
        }
      }
      return push(...made);
    };
  }

  #checkTracking(): void {
    const active = new Set<string>();
    for (const spec of this.#good?.containers ?? []) {
      if (!spec.dirtyTracking.active || spec.dirtyTracking.mode === 'none') continue;
      for (const claim of spec.claims) {
        if (claim.kind === 'pci') active.add(claim.pci);
      }
    }
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

function planOf(host: ManagedHost, config: Config | null): string {
  if (config === null) return 'not valid';
  const { plan } = planAttempt(host, config, { ...DEFAULT_OPTIONS, removalsAllowed: 99 });
  return JSON.stringify([
    plan.steps.map(describeAction),
    plan.blocked.map(({ kind, container }) => [kind, container]),
  ]);
}
