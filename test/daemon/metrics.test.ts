/** Metrics: true at the first scrape, counted from events, and of the format that Prometheus reads. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DaemonEvent } from '../../src/daemon/control.ts';
import { DaemonMetrics } from '../../src/daemon/metrics.ts';
import { CallCounts, counted } from '../../src/kernel/count.ts';
import { SyscallError } from '../../src/kernel/port.ts';
import { Machine } from '../../src/kernel/sim/machine.ts';
import { type Served, serve } from '../support/socket.ts';
import { configOf, hostIn, testClock } from '../support/world.ts';

let served: Served;

beforeEach(async () => {
  const spec = { devices: [{ pci: '0000:01:00.0' }], dirtyTracking: { mode: 'required' } };
  served = await serve({ spec });
});

afterEach(async () => {
  await served.close();
});

/** The samples of an exposition: `name{labels}` to value. */
function samplesOf(text: string): ReadonlyMap<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(' ');
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

describe('metrics', () => {
  it('say before the first attempt that there is nothing yet, not that nothing is known', async () => {
    const samples = samplesOf(await served.metrics.text());
    expect(samples.get('autodomain_reconciles_total{result="failed"}')).toBe(0);
    expect(samples.get('autodomain_devices{state="attached"}')).toBe(0);
    expect(samples.get('autodomain_found_by_resync_total')).toBe(0);
    expect(samples.get('autodomain_condition{type="Ready",status="True"}')).toBe(0);
  });

  it('are what the status says, worked out anew at each scrape', async () => {
    await served.daemon.turn();
    const samples = samplesOf(await served.metrics.text());
    expect(samples.get('autodomain_devices{state="attached"}')).toBe(1);
    expect(samples.get('autodomain_hwpts{dirty_tracking="capable"}')).toBe(1);
    expect(samples.get('autodomain_containers{ready="True"}')).toBe(1);
    expect(samples.get('autodomain_condition{type="Ready",status="True"}')).toBe(1);
    expect(samples.get('autodomain_condition{type="Ready",status="False"}')).toBe(0);
    const digest = served.daemon.status().source.applied?.digest;
    const name = `autodomain_config_info{state="applied",digest="${digest}",revision=""}`;
    expect(samples.get(name)).toBe(1);
    served.write('blue', { devices: [{ pci: '0000:01:00.0' }] });
    await served.daemon.turn();
    const after = samplesOf(await served.metrics.text());
    // The digest before is gone: one series for each state, however often the config changes.
    expect(after.has(name)).toBe(false);
    expect(
      [...after.keys()].filter((key) => key.startsWith('autodomain_config_info')),
    ).toHaveLength(2);
  });

  it('count attempts with their duration, drift, and what only a timed look found', async () => {
    let hear: (event: DaemonEvent) => void = () => undefined;
    const metrics = new DaemonMetrics({
      control: {
        status: () => served.daemon.status(),
        subscribe: (listener) => {
          hear = listener;
          return () => undefined;
        },
      },
    });
    const base = { at: '2026-01-01T00:00:00Z', attempt: 'a-1', text: '' };
    hear({ ...base, kind: 'attempted', outcome: { result: 'applied', steps: 4, ms: 120 } });
    hear({ ...base, kind: 'attempted', outcome: { result: 'failed', steps: 2, ms: 3000 } });
    hear({ ...base, kind: 'drifted', attempt: null });
    hear({ ...base, kind: 'found-by-resync', attempt: null });
    const samples = samplesOf(await metrics.text());
    expect(samples.get('autodomain_reconciles_total{result="applied"}')).toBe(1);
    expect(samples.get('autodomain_reconciles_total{result="failed"}')).toBe(1);
    expect(samples.get('autodomain_reconcile_duration_seconds_bucket{le="0.1"}')).toBe(0);
    expect(samples.get('autodomain_reconcile_duration_seconds_bucket{le="0.25"}')).toBe(1);
    expect(samples.get('autodomain_reconcile_duration_seconds_sum')).toBeCloseTo(3.12);
    expect(samples.get('autodomain_drift_found_total')).toBe(1);
    expect(samples.get('autodomain_found_by_resync_total')).toBe(1);
    expect(samples.get('autodomain_events_total{kind="attempted"}')).toBe(2);
  });

  it('show a call that is stuck, with its age', async () => {
    const status = served.daemon.status();
    const since = new Date(Date.now() - 90_000).toISOString();
    const stuck = [{ what: 'close 0000:01:00.0', since }];
    const metrics = new DaemonMetrics({
      control: {
        status: () => ({ ...status, daemon: { ...status.daemon, stuck } }),
        subscribe: () => () => undefined,
      },
    });
    const samples = samplesOf(await metrics.text());
    expect(samples.get('autodomain_stuck_calls')).toBe(1);
    expect(samples.get('autodomain_stuck_call_age_seconds')).toBeCloseTo(90, 0);
  });

  it('have the names and types that Prometheus wants', async () => {
    const text = await served.metrics.text();
    const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)];
    expect(types.length).toBeGreaterThan(15);
    for (const [, name, type] of types) {
      expect(name).toMatch(/^(autodomain|process)_[a-z_]+$/);
      expect(name?.endsWith('_total')).toBe(type === 'counter');
    }
    expect(text).not.toMatch(/NaN|undefined/);
  });
});

describe('counted', () => {
  it('counts every call by name and errno, and changes nothing about it', async () => {
    const machine = new Machine(hostIn('test/cases/host.yaml'), { clock: testClock() });
    const plain = machine.syscalls;
    const counts = new CallCounts();
    const syscalls = counted(plain, counts);
    expect(() => syscalls.open('/dev/nothing')).toThrow(SyscallError);
    const fd = syscalls.open('/dev/iommu');
    await expect(
      syscalls.slow.ioctl(fd, 0x1234, { bytes: new Uint8Array(8), pointers: [] }),
    ).rejects.toThrow(SyscallError);
    await syscalls.slow.close(fd);
    expect(counts.list()).toEqual(
      expect.arrayContaining([
        { call: 'open', errno: 'ENOENT', count: 1 },
        { call: 'open', errno: '0', count: 1 },
        { call: 'close', errno: '0', count: 1 },
      ]),
    );
    const metrics = new DaemonMetrics({ control: served.daemon, calls: counts });
    const samples = samplesOf(await metrics.text());
    expect(samples.get('autodomain_kernel_calls_total{call="open",errno="ENOENT"}')).toBe(1);
    metrics.close();
  });

  it('counts as many as the model was asked', async () => {
    const { World } = await import('../support/world.ts');
    const world = new World(hostIn('test/cases/host.yaml'));
    const counts = new CallCounts();
    const host = { ...world.host, syscalls: counted(world.host.syscalls, counts) };
    const config = configOf(
      'apiVersion: autodomain.dev/v1alpha1\nkind: Container\nmetadata: { name: a }\nspec: { devices: [{ pci: "0000:01:00.0" }] }\n',
    );
    const { applyAttempt, planAttempt } = await import('../../src/engine/attempt.ts');
    const { DEFAULT_OPTIONS } = await import('../../src/plan/planner-options.ts');
    const planned = planAttempt(host, config, DEFAULT_OPTIONS);
    await applyAttempt(host, planned, config, { parallel: 1 });
    for (const name of ['IOMMU_HWPT_ALLOC', 'VFIO_DEVICE_BIND_IOMMUFD', 'IOMMU_IOAS_ALLOC']) {
      const asked = world.machine.calls.filter((call) => call.name === name).length;
      expect(counts.list()).toContainEqual({ call: name, errno: '0', count: asked });
    }
  });
});
