/**
 * Calls that do not return: they hold up nothing but what they work on, nobody repeats them, everything
 * says so, and when they return at last, the journal knows.
 */
import { describe, expect, it } from 'vitest';
import { simulatedClock } from '../../src/cli/simulated-clock.ts';
import type { ApplyOptions } from '../../src/engine/apply.ts';
import { type Attempt, applyAttempt, planAttempt } from '../../src/engine/attempt.ts';
import { CallWatch, type LateReturn } from '../../src/engine/calls.ts';
import { type ManagedHost, runContextOf } from '../../src/engine/host.ts';
import { MemoryJournal } from '../../src/engine/journal.ts';
import { exitCodeOfAttempt, formatSummary } from '../../src/engine/report.ts';
import { ObservationCache } from '../../src/kernel/observe-cache.ts';
import { Machine } from '../../src/kernel/sim/machine.ts';
import { explainBlocker } from '../../src/plan/blockers.ts';
import { DEFAULT_OPTIONS } from '../../src/plan/planner-options.ts';
import type { FaultDocument } from '../../src/spec/types.generated.ts';
import { leaksOf } from '../support/leaks.ts';
import { configOf, hostIn } from '../support/world.ts';

const A = '0000:01:00.0';
const B = '0000:01:00.1';
const C = '0000:03:00.0';
const DRIVERLESS = '0000:02:00.0';
const MATES = ['0000:05:01.0', '0000:05:02.0'] as const;

interface ContainerText {
  readonly name: string;
  readonly devices: readonly string[];
  readonly more?: object;
}

function config(...containers: readonly ContainerText[]): ReturnType<typeof configOf> {
  return configOf(
    containers
      .map(({ name, devices, more }) =>
        JSON.stringify({
          apiVersion: 'autodomain.dev/v1alpha1',
          kind: 'Container',
          metadata: { name },
          spec: { ...more, devices: devices.map((pci) => ({ pci })) },
        }),
      )
      .join('\n---\n'),
  );
}

class Watched {
  readonly machine: Machine;
  readonly host: ManagedHost & { readonly calls: CallWatch; readonly journal: MemoryJournal };
  readonly clock = simulatedClock();
  readonly returned: LateReturn[] = [];

  constructor(faults: readonly FaultDocument[], most = 16) {
    const document = { ...hostIn('test/cases/host.yaml'), simulation: { faults: [...faults] } };
    this.machine = new Machine(document, { clock: this.clock });
    this.host = {
      syscalls: this.machine.syscalls,
      journal: new MemoryJournal(this.machine.held),
      known: this.machine.known,
      calls: new CallWatch(this.clock, most),
      cache: new ObservationCache(this.clock),
      clock: this.clock,
      hostName: 'node-7',
      ownPid: 0,
    };
    this.host.calls.onReturn((late) => this.returned.push(late));
  }

  plan(wanted: ReturnType<typeof config>): ReturnType<typeof planAttempt> {
    return planAttempt(this.host, wanted, DEFAULT_OPTIONS);
  }

  apply(wanted: ReturnType<typeof config>, more: Partial<ApplyOptions> = {}): Promise<Attempt> {
    return applyAttempt(this.host, this.plan(wanted), wanted, { parallel: 8, ...more });
  }

  /** The trouble ends, and what hung goes on. */
  async release(): Promise<void> {
    this.machine.faults.release();
    await new Promise((resolve) => setImmediate(resolve));
  }

  callsOn(device: string, name: string): number {
    return this.machine.calls.filter((call) => call.device === device && call.name === name).length;
  }
}

function results(attempt: Attempt): Readonly<Record<string, string>> {
  return Object.fromEntries(
    attempt.result.cells.map(({ containers, result }) => [containers.join(), result]),
  );
}

const THREE = config(
  { name: 'a', devices: [A] },
  { name: 'b', devices: [B] },
  { name: 'c', devices: [C] },
);

describe('a bind that never returns', () => {
  const fault = { call: 'VFIO_DEVICE_BIND_IOMMUFD', pci: A, neverReturns: true } as const;

  it('holds up its own container only, and the attempt says which, on what, since when', async () => {
    const world = new Watched([fault]);
    const attempt = await world.apply(THREE);
    expect(results(attempt)).toEqual({ a: 'stuck', b: 'applied', c: 'applied' });
    expect(exitCodeOfAttempt(attempt.plan, attempt.result, attempt.drift)).toBe(5);
    expect(formatSummary(attempt.plan, attempt.result, attempt.drift)).toBe(
      '3 containers: 2 ready, 1 stuck (a: open 0000:01:00.0 in context a: VFIO_DEVICE_BIND_IOMMUFD has not returned for 70 s)',
    );
    expect(world.host.calls.list()).toMatchObject([
      { device: A, context: 'a', call: 'VFIO_DEVICE_BIND_IOMMUFD', ageMs: 70_000 },
    ]);
  });

  it('is not repeated: later attempts leave the device and its context alone and do the rest', async () => {
    const world = new Watched([fault]);
    await world.apply(THREE);
    const more = config(
      { name: 'a', devices: [A] },
      { name: 'b', devices: [B], more: { dirtyTracking: { mode: 'required' } } },
      { name: 'c', devices: [C] },
    );
    world.machine.calls.length = 0;
    const attempt = await world.apply(more);
    expect(results(attempt)).toEqual({ b: 'applied' });
    const [blocker] = attempt.plan.blocked;
    expect(blocker).toMatchObject({ kind: 'stuck', container: 'a' });
    expect(blocker && explainBlocker(blocker).text).toContain('has not returned for 60 s');
    expect(world.machine.calls.filter(({ device }) => device === A)).toEqual([]);
    // Whatever the config says of it now, a removal among it.
    const gone = world.plan(config({ name: 'b', devices: [B] }, { name: 'c', devices: [C] }));
    expect(gone.plan.steps.filter(({ cell }) => cell === 'a')).toEqual([]);
    const moved = world.plan(config({ name: 'b', devices: [A] }));
    expect(moved.plan.steps).toEqual([]);
  });

  it('is in the journal when it returns, and the next attempt goes on from there', async () => {
    const world = new Watched([fault]);
    await world.apply(THREE);
    await world.release();
    expect(world.returned).toMatchObject([{ error: null, call: { device: A } }]);
    expect(world.host.calls.list()).toEqual([]);
    const attempt = await world.apply(THREE);
    expect(results(attempt)).toEqual({ a: 'applied' });
    expect(attempt.drift).toEqual([]);
    expect(world.callsOn(A, 'VFIO_DEVICE_BIND_IOMMUFD')).toBe(1);
    expect(leaksOf(world.machine, world.host.journal)).toEqual([]);
  });

  it('that fails at last is taken back, said, and tried again', async () => {
    const world = new Watched([
      { call: 'VFIO_DEVICE_BIND_IOMMUFD', pci: A, returnsAfterMs: 400_000, errno: 'EIO' },
    ]);
    expect(results(await world.apply(THREE))).toMatchObject({ a: 'stuck' });
    await world.clock.sleep(400_000);
    await world.release();
    expect(world.returned).toMatchObject([{ error: { errno: 'EIO' } }]);
    expect(leaksOf(world.machine, world.host.journal)).toEqual([]);
    expect(results(await world.apply(THREE))).toEqual({ a: 'applied' });
  });

  it('is asked nothing: neither its device nor its context is looked at', async () => {
    const world = new Watched([fault]);
    await world.apply(THREE);
    world.host.cache?.invalidateAll();
    const touched: string[] = [];
    const { syscalls } = world.machine;
    const note =
      <T>(call: (path: string) => T) =>
      (path: string): T => {
        if (path.startsWith(`/sys/bus/pci/devices/${A}`) || path.includes('/iommu_groups/1/')) {
          touched.push(path);
        }
        return call(path);
      };
    const ioctls = new Set<number>();
    const port = {
      ...syscalls,
      readText: note(syscalls.readText),
      readDir: note(syscalls.readDir),
      readLink: note(syscalls.readLink),
      stat: note(syscalls.stat),
      ioctl: (...args: Parameters<typeof syscalls.ioctl>) => {
        ioctls.add(args[0]);
        return syscalls.ioctl(...args);
      },
    };
    const { graph } = planAttempt({ ...world.host, syscalls: port }, THREE, DEFAULT_OPTIONS);
    expect(touched).toEqual([]);
    expect(graph.devices.get(A as never)).toMatchObject({ driver: 'vfio-pci', cdev: 'vfio0' });
    const context = world.host.journal.contexts().find(({ name }) => name === 'a');
    expect(ioctls.has(context?.fd ?? -1)).toBe(false);
    expect(ioctls.size).toBeGreaterThan(0);
  });
});

describe('other calls that do not return', () => {
  it('a close: the device stays ours until it is back, and is closed once', async () => {
    const world = new Watched([{ call: 'close', pci: A, neverReturns: true }]);
    await world.apply(THREE);
    const less = config({ name: 'b', devices: [B] }, { name: 'c', devices: [C] });
    expect(results(await world.apply(less))).toEqual({ a: 'stuck' });
    const again = await world.apply(less);
    expect(again.plan.steps).toEqual([]);
    expect(again.plan.blocked).toMatchObject([{ kind: 'stuck', container: 'a' }]);
    await world.release();
    const last = await world.apply(less);
    expect(last.plan.steps.map(({ kind }) => kind)).toEqual(['close-context']);
    expect(world.host.journal.contexts().map(({ name }) => name)).toEqual(['b', 'c']);
    expect(leaksOf(world.machine, world.host.journal)).toEqual([]);
  });

  it('a bind of a driver', async () => {
    const world = new Watched([{ call: 'bind', pci: DRIVERLESS, neverReturns: true }]);
    const wanted = config({ name: 'a', devices: [DRIVERLESS] }, { name: 'b', devices: [B] });
    const attempt = await world.apply(wanted);
    expect(results(attempt)).toEqual({ a: 'stuck', b: 'applied' });
    expect(world.plan(wanted).plan.blocked).toMatchObject([{ kind: 'stuck', container: 'a' }]);
    await world.release();
    expect(results(await world.apply(wanted))).toEqual({ a: 'applied' });
  });

  it('an allocation in a context of two containers: neither goes on, nor is anything taken back', async () => {
    const world = new Watched([{ call: 'IOMMU_HWPT_ALLOC', pci: B, neverReturns: true }]);
    const wanted = config(
      { name: 'a', devices: [A], more: { iommufd: 'shared' } },
      { name: 'b', devices: [B], more: { iommufd: 'shared' } },
      { name: 'c', devices: [C] },
    );
    expect(results(await world.apply(wanted))).toEqual({ 'a,b': 'stuck', c: 'applied' });
    await world.release();
    expect(results(await world.apply(wanted))).toEqual({ 'a,b': 'applied' });
    expect(leaksOf(world.machine, world.host.journal)).toEqual([]);
  });

  it('a call of whoever has the exclusive right to a context: those who wait for it are given up too', async () => {
    const world = new Watched([{ call: 'close', neverReturns: true }]);
    const { host, machine } = world;
    const run = runContextOf(host);
    const close = (device: string, fd: number): Promise<void> => {
      const action = { kind: 'close-device', args: { context: 'x', device } } as never;
      return host.calls.watch(action, run, (hands) =>
        hands.exclusive('x', () => hands.syscalls.slow.close(fd as never)),
      );
    };
    const [one, two] = [machine.syscalls.open('/dev/iommu'), machine.syscalls.open('/dev/iommu')];
    const ended = await Promise.allSettled([close(A, one), close(B, two)]);
    expect(ended.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(host.calls.list().map(({ device, call }) => [device, call])).toEqual([
      [A, 'close'],
      [B, 'close of another step'],
    ]);
    await world.release();
    expect(host.calls.list()).toEqual([]);
    expect(machine.openFiles).toBe(0);
  });

  it('in one reset set: what shares the lock is not begun, in this attempt and the next', async () => {
    const [one, two] = MATES;
    const world = new Watched([{ call: 'VFIO_DEVICE_BIND_IOMMUFD', pci: one, neverReturns: true }]);
    const wanted = config({ name: 'a', devices: [one, two] }, { name: 'b', devices: [B] });
    const attempt = await world.apply(wanted);
    expect(results(attempt)).toEqual({ a: 'stuck', b: 'applied' });
    expect(world.callsOn(two, 'VFIO_DEVICE_BIND_IOMMUFD')).toBe(0);
    expect(world.plan(wanted).plan.steps).toEqual([]);
  });

  it('as many as there is room for: nothing more begins, and it says why', async () => {
    const fault = { call: 'VFIO_DEVICE_BIND_IOMMUFD', times: 99, neverReturns: true } as const;
    const world = new Watched([fault], 2);
    const attempt = await world.apply(THREE);
    expect(results(attempt)).toEqual({ a: 'stuck', b: 'stuck', c: 'stuck' });
    expect(world.host.calls.count).toBe(2);
    const binds = world.machine.faults.waiting;
    expect(binds).toBe(2);
    const again = await world.apply(THREE);
    expect(results(again)).toEqual({ c: 'stuck' });
    expect(world.machine.faults.waiting).toBe(2);
    await world.release();
    await world.apply(THREE);
    await world.release();
    expect(results(await world.apply(THREE))).toEqual({ c: 'applied' });
    expect(leaksOf(world.machine, world.host.journal)).toEqual([]);
  });

  it('while an attempt is interrupted: it ends, and says stuck', async () => {
    const world = new Watched([{ call: 'VFIO_DEVICE_BIND_IOMMUFD', pci: A, neverReturns: true }]);
    const stop = new AbortController();
    const done = world.apply(THREE, {
      signal: stop.signal,
      onEvent: (event) => {
        if (event.kind === 'step-started' && event.step.kind === 'open-device') stop.abort();
      },
    });
    expect(results(await done)).toMatchObject({ a: 'stuck' });
  });
});
