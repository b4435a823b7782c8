/** The loop against time and trouble: an edit while an apply runs, a failure that passes, drift that somebody else made. */
import { describe, expect, it } from 'vitest';
import type { Clock, MonotonicMs } from '../../src/base/clock.ts';
import { ReconcileLoop, type WatchEvent } from '../../src/daemon/loop.ts';
import { Wakeup } from '../../src/daemon/wakeup.ts';
import { Wishes } from '../../src/daemon/wishes.ts';
import { observeHost } from '../../src/engine/host.ts';
import { MemoryJournal } from '../../src/engine/journal.ts';
import { Machine } from '../../src/kernel/sim/machine.ts';
import type { Source } from '../../src/source/files.ts';
import type { HostDocument } from '../../src/spec/types.generated.ts';
import { hostIn } from '../support/world.ts';

const clock: Clock = {
  now: () => Math.round(performance.now()) as MonotonicMs,
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};

/** The same clock for somebody impatient: back-off is not what is tested. */
const brisk: Clock = { ...clock, sleep: (ms) => clock.sleep(Math.min(ms, 20)) };

function source(spec: object): Source {
  const document = {
    apiVersion: 'autodomain.dev/v1alpha1',
    kind: 'Container',
    metadata: { name: 'blue' },
    spec,
  };
  const bytes = new TextEncoder().encode(JSON.stringify(document));
  const digest = `sha256:${JSON.stringify(spec)}`;
  const files = [{ path: 'c.yaml', bytes }];
  return { files, issues: [], digest, revision: null, roots: [], unsettled: null };
}

/** Runs the loop until `done` says so; `files` is what a read finds. */
async function follow(
  simulation: NonNullable<HostDocument['simulation']>,
  files: { now: Source },
  onEvent: (event: WatchEvent, stop: () => void) => void,
  onMachine: (machine: Machine) => void = () => undefined,
): Promise<{ readonly machine: Machine; readonly attached: readonly string[] }> {
  const machine = new Machine({ ...hostIn('test/cases/host.yaml'), simulation }, { clock });
  onMachine(machine);
  const host = {
    syscalls: machine.syscalls,
    journal: new MemoryJournal(machine.held),
    known: machine.known,
    clock,
    hostName: 'node-7',
    ownPid: 0,
  };
  const stop = new AbortController();
  const loop = new ReconcileLoop({
    host,
    clock,
    timing: { settleMs: 1, removalGraceMs: 0, resyncMs: 5 },
    parallel: 4,
    signal: stop.signal,
    read: () => files.now,
    drift: 'correct',
    wakeup: new Wakeup(brisk),
    wishes: new Wishes(),
    random: () => 0.5,
    report: (event) => onEvent(event, () => stop.abort()),
  });
  await loop.run();
  const { graph } = observeHost(host);
  const contexts = [...graph.contexts.values()];
  const attached = contexts.flatMap((context) =>
    [...context.devices.values()].flatMap(({ key, attachment }) => (attachment ? [key] : [])),
  );
  return { machine, attached };
}

const A = { pci: '0000:01:00.0' };
const B = { pci: '0000:01:00.1' };

describe('the loop', () => {
  it('finishes an apply that an edit overtakes, and then follows the edit', async () => {
    const files = { now: source({ devices: [A] }) };
    const attempts: string[] = [];
    const { attached } = await follow(
      { latencyMs: { bind: 60 } },
      files,
      (event, stop) => {
        if (event.kind === 'attempted') {
          attempts.push(event.attempt.result.cells.map((cell) => cell.result).join());
        }
        if (event.kind === 'converged' && attempts.length === 2) stop();
      },
      (machine) => {
        // The file is opened before the bind that takes its time: the apply is under way.
        const timer = setInterval(() => {
          if (!machine.calls.some(({ name }) => name.startsWith('open /dev/vfio'))) return;
          clearInterval(timer);
          files.now = source({ devices: [A, B] });
        }, 1);
      },
    );
    expect(attempts).toEqual(['applied', 'applied']);
    expect(attached).toEqual(['0000:01:00.0', '0000:01:00.1']);
  });

  it('tries again after a failure that passes, without a second reset', async () => {
    const files = { now: source({ devices: [A] }) };
    const faults = [{ call: 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', errno: 'ENOSPC', times: 2 }];
    const results: string[] = [];
    const { machine, attached } = await follow({ faults }, files, (event, stop) => {
      if (event.kind === 'attempted') {
        results.push(event.attempt.result.cells.map((cell) => cell.result).join());
      }
      if (event.kind === 'converged') stop();
    });
    expect(results).toEqual(['stopped', 'rolled-back', 'applied']);
    expect(attached).toEqual(['0000:01:00.0']);
    const resets = machine.calls.filter(({ name }) => name === 'VFIO_DEVICE_BIND_IOMMUFD');
    expect(resets).toHaveLength(1);
  });

  it('makes no writing call while there is nothing to do', async () => {
    const files = { now: source({ devices: [A] }) };
    let quiet = 0;
    const { machine } = await follow({}, files, (event, stop) => {
      if (event.kind !== 'converged') return;
      quiet += 1;
      setTimeout(stop, 100);
    });
    expect(quiet).toBe(1);
    const last = machine.calls.findLastIndex((call) => call.writing);
    // Probes of several looks came after the last call that changed something.
    expect(machine.calls.length - last).toBeGreaterThan(10);
  });
});
