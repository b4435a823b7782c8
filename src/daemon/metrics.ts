/**
 * The daemon's metrics, under Prometheus' usual names. What is now (devices, conditions) is worked out
 * from the status at each scrape, the first included; what happened is counted from the events.
 * Names and labels are stable.
 */
import { readdirSync } from 'node:fs';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { CallCounts } from '../kernel/count.ts';
import {
  CONDITION_TYPES,
  type Condition,
  type ConditionType,
  type DaemonControl,
  type DaemonEvent,
  type DeviceStatus,
  type EventKind,
  type StatusDocument,
} from './control.ts';

/** The content type of the text that `text` gives. */
export const METRICS_CONTENT_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;

/** What metrics are made from. */
export interface MetricsSources {
  readonly control: Pick<DaemonControl, 'status' | 'subscribe'>;
  /** Absent: kernel calls are not counted. */
  readonly calls?: CallCounts;
}

/** All metrics of one daemon. Made before the daemon's first attempt, so that none is missed. */
export class DaemonMetrics {
  readonly #registry = new Registry();
  readonly #sources: MetricsSources;
  readonly #now: readonly ((status: StatusDocument) => void)[];
  readonly #unsubscribe: () => void;

  constructor(sources: MetricsSources) {
    this.#sources = sources;
    const registers = [this.#registry];
    this.#now = [
      buildOf(registers),
      configOf(registers),
      conditionsOf(registers),
      devicesOf(registers),
      hwptsOf(registers),
      containersOf(registers),
      stuckOf(registers),
      processOf(registers),
    ];
    const happened = eventsOf(registers);
    this.#unsubscribe = sources.control.subscribe(happened);
    if (sources.calls !== undefined) kernelCallsOf(registers, sources.calls);
  }

  /** The text exposition format 0.0.4. */
  text(): Promise<string> {
    const status = this.#sources.control.status();
    for (const update of this.#now) update(status);
    return this.#registry.metrics();
  }

  /** Hears no more events. */
  close(): void {
    this.#unsubscribe();
  }
}

type Registers = [Registry] | Registry[];

function buildOf(registers: Registers): (status: StatusDocument) => void {
  const help = 'The version of the daemon, as a label; always 1.';
  const gauge = new Gauge({
    name: 'autodomain_build_info',
    help,
    labelNames: ['version'],
    registers,
  });
  return ({ daemon }) => gauge.set({ version: daemon.version }, 1);
}

function configOf(registers: Registers): (status: StatusDocument) => void {
  const gauge = new Gauge({
    name: 'autodomain_config_info',
    help: 'The config that is attempted and the one that is applied, as labels; always 1.',
    labelNames: ['state', 'digest', 'revision'],
    registers,
  });
  return ({ source }) => {
    gauge.reset();
    for (const state of ['attempted', 'applied'] as const) {
      const now = source[state];
      if (now !== null) gauge.set({ state, digest: now.digest, revision: now.revision ?? '' }, 1);
    }
  };
}

function conditionsOf(registers: Registers): (status: StatusDocument) => void {
  const gauge = new Gauge({
    name: 'autodomain_condition',
    help: 'A condition of the daemon: 1 for the status that it has, 0 for the others.',
    labelNames: ['type', 'status'],
    registers,
  });
  return ({ daemon }) => {
    for (const type of CONDITION_TYPES) {
      const now = conditionIn(daemon.conditions, type)?.status ?? 'Unknown';
      for (const status of ['True', 'False', 'Unknown']) {
        gauge.set({ type, status }, status === now ? 1 : 0);
      }
    }
  };
}

const DEVICE_STATES: readonly DeviceStatus['state'][] = ['attached', 'bound', 'missing', 'leaving'];

function devicesOf(registers: Registers): (status: StatusDocument) => void {
  const gauge = new Gauge({
    name: 'autodomain_devices',
    help: 'Devices of the containers, by state.',
    labelNames: ['state'],
    registers,
  });
  return ({ containers }) => {
    const states = containers.flatMap(({ devices }) => devices.map(({ state }) => state));
    for (const state of DEVICE_STATES) gauge.set({ state }, countIn(states, state));
  };
}

function hwptsOf(registers: Registers): (status: StatusDocument) => void {
  const gauge = new Gauge({
    name: 'autodomain_hwpts',
    help: 'HWPTs of the containers, by what they do about dirty pages.',
    labelNames: ['dirty_tracking'],
    registers,
  });
  return ({ containers }) => {
    const states = containers.flatMap(({ hwpts }) => hwpts.map((hwpt) => hwpt.dirtyTracking));
    for (const state of ['none', 'capable', 'active'] as const) {
      gauge.set({ dirty_tracking: state }, countIn(states, state));
    }
  };
}

function containersOf(registers: Registers): (status: StatusDocument) => void {
  const ready = new Gauge({
    name: 'autodomain_containers',
    help: 'Containers, by the status of their condition Ready.',
    labelNames: ['ready'],
    registers,
  });
  const drifted = new Gauge({
    name: 'autodomain_drifted_containers',
    help: 'Containers that differ from what was applied to them.',
    registers,
  });
  return ({ containers }) => {
    const statuses = containers.map((each) => conditionIn(each.conditions, 'Ready')?.status);
    for (const status of ['True', 'False', 'Unknown'] as const) {
      const alike = statuses.filter((now) => (now ?? 'Unknown') === status);
      ready.set({ ready: status }, alike.length);
    }
    const differ = containers.map((each) => conditionIn(each.conditions, 'Drifted')?.status);
    drifted.set(countIn(differ, 'True'));
  };
}

function stuckOf(registers: Registers): (status: StatusDocument) => void {
  const calls = new Gauge({
    name: 'autodomain_stuck_calls',
    help: 'Calls that are in the kernel past their deadline.',
    registers,
  });
  const age = new Gauge({
    name: 'autodomain_stuck_call_age_seconds',
    help: 'Age of the oldest of them; 0 without one.',
    registers,
  });
  return ({ daemon }) => {
    const since = daemon.stuck.map((call) => Date.parse(call.since));
    calls.set(since.length);
    age.set(since.length === 0 ? 0 : Math.max(0, (Date.now() - Math.min(...since)) / 1000));
  };
}

/** prom-client's own process metrics keep a 10 ms timer running; an idle daemon has nothing to do. */
function processOf(registers: Registers): () => void {
  const gauge = (name: string, help: string): Gauge => new Gauge({ name, help, registers });
  const memory = gauge('process_resident_memory_bytes', 'Resident memory in bytes.');
  const files = gauge('process_open_fds', 'Open file descriptors.');
  const start = gauge('process_start_time_seconds', 'Start of the process, in Unix time.');
  const cpu = new Counter({
    name: 'process_cpu_seconds_total',
    help: 'CPU time of the process in seconds, user and system.',
    registers,
  });
  start.set(Math.round(Date.now() / 1000 - process.uptime()));
  return () => {
    memory.set(process.memoryUsage.rss());
    // Reading the directory opens one more.
    files.set(readdirSync('/proc/self/fd').length - 1);
    const { user, system } = process.cpuUsage();
    cpu.reset();
    cpu.inc((user + system) / 1e6);
  };
}

/** Bounds from a plan that needs no reset to sixteen slow resets in a row. */
const DURATION_BUCKETS_S = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60];

/** Kinds that have a counter of their own beside the common one, since alerts are made on them. */
const COUNTED: readonly (readonly [kind: EventKind, name: string, help: string])[] = [
  ['drifted', 'autodomain_drift_found_total', 'How often the host was found to have drifted.'],
  [
    'found-by-resync',
    'autodomain_found_by_resync_total',
    'How often a timed look found news that no event had told of: more than a few mean that events are lost.',
  ],
];

function eventsOf(registers: Registers): (event: DaemonEvent) => void {
  const all = new Counter({
    name: 'autodomain_events_total',
    help: 'Events, by kind.',
    labelNames: ['kind'],
    registers,
  });
  const reconciles = new Counter({
    name: 'autodomain_reconciles_total',
    help: 'Attempts that did something, by result.',
    labelNames: ['result'],
    registers,
  });
  const durations = new Histogram({
    name: 'autodomain_reconcile_duration_seconds',
    help: 'How long such an attempt took.',
    buckets: DURATION_BUCKETS_S,
    registers,
  });
  for (const result of ['applied', 'failed']) reconciles.inc({ result }, 0);
  const own = new Map(
    COUNTED.map(([kind, name, help]) => [kind, new Counter({ name, help, registers })]),
  );
  return ({ kind, outcome }) => {
    all.inc({ kind });
    own.get(kind)?.inc();
    if (outcome === undefined) return;
    reconciles.inc({ result: outcome.result });
    durations.observe(outcome.ms / 1000);
  };
}

function kernelCallsOf(registers: Registers, calls: CallCounts): void {
  new Counter({
    name: 'autodomain_kernel_calls_total',
    help: 'System calls and ioctls on the host, by name and errno; 0 where they succeeded.',
    labelNames: ['call', 'errno'],
    registers,
    collect() {
      this.reset();
      for (const { call, errno, count } of calls.list()) this.inc({ call, errno }, count);
    },
  });
}

function conditionIn(conditions: readonly Condition[], type: ConditionType): Condition | undefined {
  return conditions.find((condition) => condition.type === type);
}

function countIn<T>(values: readonly T[], value: T): number {
  return values.filter((each) => each === value).length;
}
