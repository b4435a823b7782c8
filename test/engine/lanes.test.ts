/**
 * Steps in parallel never meet in the kernel where they must not: on random hosts with shared reset sets
 * and IOMMU groups, every call is watched at the port and held against the hardware, not against our lanes.
 */
import { describe, expect, it } from 'vitest';
import { simulatedClock } from '../../src/cli/simulated-clock.ts';
import { applyPlan } from '../../src/engine/apply.ts';
import { planAttempt } from '../../src/engine/attempt.ts';
import { type ManagedHost, runContextOf } from '../../src/engine/host.ts';
import { MemoryJournal } from '../../src/engine/journal.ts';
import type { Fd, Syscalls } from '../../src/kernel/port.ts';
import { Machine } from '../../src/kernel/sim/machine.ts';
import { opOf } from '../../src/kernel/uapi/index.ts';
import { DEFAULT_OPTIONS } from '../../src/plan/planner-options.ts';
import type { Plan } from '../../src/plan/types.ts';
import type { HostDocument } from '../../src/spec/types.generated.ts';
import { seeded } from '../support/rng.ts';
import { configOf, hostOf } from '../support/world.ts';

const PARALLEL = 6;

interface PciFunction {
  readonly pci: string;
  readonly group: number;
  readonly rootBus: boolean;
}

/** Functions on a few buses, in groups of one to three that may span buses. */
function functionsOf(random: () => number): readonly PciFunction[] {
  const count = 4 + Math.floor(random() * 9);
  let group = 0;
  return Array.from({ length: count }, (_, index) => {
    if (index === 0 || random() < 0.6) group += 1;
    const bus = 1 + Math.floor(random() * 4);
    return {
      pci: `0000:0${bus}:${(index + 1).toString(16).padStart(2, '0')}.0`,
      group,
      rootBus: random() < 0.4,
    };
  });
}

function hostWith(functions: readonly PciFunction[]): HostDocument {
  const groups = [...new Set(functions.map(({ group }) => group))];
  return hostOf(
    JSON.stringify({
      apiVersion: 'autodomain.dev/v1alpha1',
      kind: 'Host',
      metadata: { name: 'lanes' },
      spec: {
        kernel: { release: '6.12.0', features: ['iommufd', 'vfio-cdev', 'vfio-pci'] },
        iommus: [
          {
            name: 'dmar0',
            type: 'intel',
            addressWidth: 48,
            coherentWalk: true,
            snoopControl: true,
            dirtyTracking: true,
            msiIsolated: true,
          },
        ],
        groups: groups.map((id) => ({ id, iommu: 'dmar0' })),
        devices: functions.map(({ pci, group, rootBus }, index) => ({
          pci,
          group,
          rootBus,
          vendor: '8086',
          device: '1889',
          class: '020000',
          driver: 'vfio-pci',
          cdev: `vfio${index}`,
          reset: 'flr',
        })),
      },
      simulation: { latencyMs: { bind: 106, close: 53, attach: 7, alloc: 23 } },
    }),
  );
}

/** Whole groups in containers, of which some share a context. */
function configWith(functions: readonly PciFunction[], random: () => number): string {
  const homes = new Map<number, number>();
  for (const { group } of functions) {
    if (!homes.has(group)) homes.set(group, Math.floor(random() * 5));
  }
  const documents = [0, 1, 2, 3].flatMap((home) => {
    const devices = functions.filter(({ group }) => homes.get(group) === home);
    if (devices.length === 0) return [];
    return [
      {
        apiVersion: 'autodomain.dev/v1alpha1',
        kind: 'Container',
        metadata: { name: `c${home}` },
        spec: {
          devices: devices.map(({ pci }) => ({ pci })),
          iommufd: home < 2 ? 'shared' : `own${home}`,
          dirtyTracking: { mode: random() < 0.5 ? 'required' : 'none' },
        },
      },
    ];
  });
  return documents.map((each) => JSON.stringify(each)).join('\n---\n');
}

/** Watches what is in the kernel at once, and says what must not have met. */
class Referee {
  readonly port: Syscalls;
  readonly faults = new Set<string>();
  most = 0;
  readonly #locksOf = new Map<string, readonly string[]>();
  readonly #files = new Map<Fd, string>();
  readonly #inKernel = new Set<{ readonly what: string; readonly locks: readonly string[] }>();

  constructor(syscalls: Syscalls, functions: readonly PciFunction[]) {
    for (const [index, { pci, group, rootBus }] of functions.entries()) {
      const set = rootBus ? pci : pci.slice(0, 7);
      this.#locksOf.set(`vfio${index}`, [`dev_set ${set}`, `group ${group}`]);
    }
    this.port = {
      ...syscalls,
      open: (path) => {
        const fd = syscalls.open(path);
        this.#files.set(fd, path.slice(path.lastIndexOf('/') + 1));
        return fd;
      },
      slow: {
        ...syscalls.slow,
        ioctl: (fd, request, arg) =>
          this.#around(fd, opOf(request)?.name ?? '', () => syscalls.slow.ioctl(fd, request, arg)),
        close: (fd) => this.#around(fd, 'close', () => syscalls.slow.close(fd)),
      },
    };
  }

  async #around<T>(fd: Fd, what: string, call: () => Promise<T>): Promise<T> {
    const file = this.#files.get(fd) ?? '';
    const entry = {
      what: `${what} of ${file}`,
      locks: this.#locksOf.get(file) ?? [`context ${fd}`],
    };
    for (const other of this.#inKernel) {
      const shared = entry.locks.find((lock) => other.locks.includes(lock));
      if (shared) this.faults.add(`${entry.what} met ${other.what} on ${shared}`);
    }
    this.#inKernel.add(entry);
    this.most = Math.max(this.most, this.#inKernel.size);
    try {
      return await call();
    } finally {
      this.#inKernel.delete(entry);
    }
  }
}

async function run(seed: number, change: (plan: Plan) => Plan): Promise<Referee> {
  const random = seeded(seed);
  const functions = functionsOf(random);
  const clock = simulatedClock();
  const machine = new Machine(hostWith(functions), { clock });
  const referee = new Referee(machine.syscalls, functions);
  const host: ManagedHost = {
    syscalls: referee.port,
    journal: new MemoryJournal(),
    known: machine.known,
    clock,
    hostName: 'lanes',
    ownPid: 0,
  };
  for (let edit = 0; edit < 3; edit += 1) {
    const config = configOf(configWith(functions, random));
    const { plan } = planAttempt(host, config, { ...DEFAULT_OPTIONS, removalsAllowed: 99 });
    const done = new Map<string, true>();
    const result = await applyPlan(change(plan), runContextOf(host), {
      parallel: PARALLEL,
      onEvent(event) {
        if (event.kind === 'step-ended') done.set(event.outcome.step.id, true);
        if (event.kind !== 'step-started') return;
        const early = event.step.after.filter((id) => !done.has(id));
        if (early.length > 0) referee.faults.add(`${event.step.id} before ${early.join()}`);
      },
    });
    const failed = result.outcomes.flatMap((each) =>
      each.status === 'failed' ? [each.error] : [],
    );
    for (const error of failed) referee.faults.add(String(error));
  }
  return referee;
}

describe('lanes', () => {
  it('keep apart what one lock, one group or one context serialises, and let the rest run at once', async () => {
    let most = 0;
    for (let seed = 1; seed <= 60; seed += 1) {
      const referee = await run(seed, (plan) => plan);
      expect([...referee.faults], `seed ${seed}`).toEqual([]);
      expect(referee.most, `seed ${seed}`).toBeLessThanOrEqual(PARALLEL);
      most = Math.max(most, referee.most);
    }
    expect(most).toBe(PARALLEL);
  });

  it('are what keeps them apart: with a lane for each step, calls meet', async () => {
    const apart = (plan: Plan): Plan => ({
      ...plan,
      steps: plan.steps.map((step) => ({ ...step, lane: step.id })),
    });
    let met = 0;
    for (let seed = 1; seed <= 20; seed += 1) {
      const { faults } = await run(seed, apart);
      if ([...faults].some((text) => text.includes(' met '))) met += 1;
    }
    expect(met).toBeGreaterThan(10);
  });
});
