/**
 * Devices that come and go while the loop runs, in simulated time: with the kernel's uevents, with its
 * request alone, and with neither. Times are those of the model: a close takes 106 ms.
 */
import { afterEach, describe, expect, it } from 'vitest';
import type { Bdf, DeviceKey } from '../../src/base/ids.ts';
import { DeviceWatch } from '../../src/daemon/device-watch.ts';
import { ReconcileLoop, type WatchEvent } from '../../src/daemon/loop.ts';
import { Wakeup } from '../../src/daemon/wakeup.ts';
import { Wishes } from '../../src/daemon/wishes.ts';
import { MemoryJournal } from '../../src/engine/journal.ts';
import { SyscallError } from '../../src/kernel/port.ts';
import { plug, unbindDriver, unplug } from '../../src/kernel/sim/events.ts';
import { Machine } from '../../src/kernel/sim/machine.ts';
import type { SimDevice } from '../../src/kernel/sim/objects.ts';
import { concernedBy } from '../../src/kernel/uevent.ts';
import { SimClock } from '../sim/clock.ts';
import { hostIn } from '../support/world.ts';

const A = '0000:01:00.0' as Bdf;
const B = '0000:01:00.1' as Bdf;
const C = '0000:02:00.0' as Bdf;
const UNRELATED = '0000:03:00.0' as Bdf;
const RESYNC_MS = 60_000;

type Hears = 'uevents' | 'requests' | 'nothing';

class Rig {
  readonly clock = new SimClock();
  readonly machine = new Machine(
    { ...hostIn('test/cases/host.yaml'), simulation: { latencyMs: { bind: 106, close: 106 } } },
    { clock: this.clock },
  );
  readonly events: WatchEvent[] = [];
  readonly #journal = new MemoryJournal(this.machine.held);
  readonly #wakeup = new Wakeup(this.clock);
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  /** A file that says something else each time it is read. */
  files: 'still' | 'restless' = 'still';
  #reads = 0;

  constructor(hears: Hears, devices: readonly Bdf[] = [A, B, C]) {
    const { machine, clock } = this;
    const watch = new DeviceWatch({
      syscalls: machine.syscalls,
      openSignalLine: (onSignal) => machine.openSignalLine(onSignal),
      onRequest: (device) => this.#wakeup.wake({ kind: 'devices', keys: [device] }),
      onConsumerRequest: () => undefined,
    });
    if (hears === 'uevents') {
      machine.listen((uevent) => {
        const keys = concernedBy([{ kind: 'uevent', uevent }]);
        this.#wakeup.wake({ kind: 'devices', keys });
      });
    }
    const loop = new ReconcileLoop({
      host: {
        syscalls: machine.syscalls,
        journal: this.#journal,
        known: machine.known,
        clock,
        hostName: 'node-7',
        ownPid: 0,
      },
      clock,
      timing: { settleMs: 500, removalGraceMs: 30_000, resyncMs: RESYNC_MS },
      parallel: 4,
      drift: 'correct',
      signal: this.#stop.signal,
      wakeup: this.#wakeup,
      wishes: new Wishes(),
      random: () => 0.5,
      read: () => this.#source(devices),
      report: (event) => {
        this.events.push(event);
        if (event.kind === 'attempted' && hears === 'requests') {
          watch.follow(this.#journal.contexts());
        }
      },
    });
    this.#done = loop.run();
  }

  device(key: DeviceKey = A): SimDevice {
    const device = this.machine.hardware.devices.get(key);
    if (!device) throw new Error(`the host has no ${key}`);
    return device;
  }

  /** Takes a device away; resolves to how long the remover slept, in milliseconds, or null after five minutes. */
  async removed(key: DeviceKey, how: 'unplug' | 'unbind' = 'unplug'): Promise<number | null> {
    const start = this.clock.now();
    let end: number | null = null;
    const away = how === 'unplug' ? unplug : unbindDriver;
    void away(this.machine, this.device(key)).then(() => {
      end = this.clock.now() - start;
    });
    for (let waited = 0; end === null && waited < 300_000; waited += 50) {
      await this.clock.advance(50);
    }
    return end;
  }

  wake(): void {
    this.#wakeup.wake({ kind: 'files' });
  }

  get attempts(): number {
    return this.events.filter(({ kind }) => kind === 'attempted').length;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.clock.advance(2 * RESYNC_MS);
    await this.#done;
  }

  #source(devices: readonly Bdf[]) {
    this.#reads += 1;
    const text = JSON.stringify({
      apiVersion: 'autodomain.dev/v1alpha1',
      kind: 'Container',
      metadata: { name: 'blue' },
      spec: { devices: devices.map((pci) => ({ pci })) },
    });
    const restless = this.files === 'restless' ? `\n# ${this.#reads}` : '';
    const files = [{ path: 'blue.yaml', bytes: new TextEncoder().encode(text + restless) }];
    const digest = `sha256:${text}${restless}`;
    return { files, issues: [], digest, revision: null, roots: [], unsettled: null };
  }
}

let rig: Rig;

afterEach(() => rig.stop());

async function converged(hears: Hears): Promise<void> {
  rig = new Rig(hears);
  await rig.clock.advance(5000);
  expect([A, B, C].map((key) => rig.device(key).bound !== null)).toEqual([true, true, true]);
}

describe('a device that is removed while we hold it', () => {
  it.each(['uevents', 'requests'] as const)('is released at once by %s', async (hears) => {
    await converged(hears);
    expect(await rig.removed(A)).toBeLessThan(1000);
    expect(rig.device(A).present).toBe(false);
    expect([B, C].map((key) => rig.device(key).bound !== null)).toEqual([true, true]);
    const last = rig.events.at(-1);
    expect(last?.kind === 'blocked' && last.plan.blocked.map(({ kind }) => kind)).toEqual([
      'device-missing',
    ]);
  });

  it('is released with the next look where nothing is heard', async () => {
    await converged('nothing');
    const slept = await rig.removed(A);
    expect(slept).toBeGreaterThan(1000);
    expect(slept).toBeLessThan(RESYNC_MS + 1000);
  });

  it('is taken again when it is back, under another number, by one attempt', async () => {
    await converged('uevents');
    const before = rig.device(A).cdev;
    await rig.removed(A);
    // Somebody else's device gets the number meanwhile.
    rig.device(UNRELATED).cdev = before;
    const attempts = rig.attempts;
    plug(rig.machine.hardware, rig.device(A));
    await rig.clock.advance(1000);
    expect(rig.device(A).bound).not.toBeNull();
    expect(rig.device(A).cdev).not.toBe(before);
    await rig.clock.advance(10 * RESYNC_MS);
    expect(rig.attempts, 'it comes to rest').toBe(attempts + 1);
  });

  it('is no removal that guards count: all may go at once, and come back', async () => {
    await converged('uevents');
    const gone = [A, B, C].map((key) => unplug(rig.machine, rig.device(key)));
    await rig.clock.advance(1000);
    await Promise.all(gone);
    const blockers = rig.events.flatMap((event) =>
      event.kind === 'blocked' ? event.plan.blocked.map(({ kind }) => kind) : [],
    );
    expect(new Set(blockers)).toEqual(new Set(['device-missing']));
    for (const key of [A, B, C]) plug(rig.machine.hardware, rig.device(key));
    await rig.clock.advance(2000);
    expect([A, B, C].map((key) => rig.device(key).bound !== null)).toEqual([true, true, true]);
  });

  it('is released although the files keep changing', async () => {
    await converged('requests');
    rig.files = 'restless';
    rig.wake();
    await rig.clock.advance(700);
    expect(await rig.removed(A)).toBeLessThan(2000);
  });

  it.each(['uevents', 'requests'] as const)(
    'is released by %s although another of its container cannot be had',
    async (hears) => {
      await converged(hears);
      await rig.removed(C);
      refuseBinds();
      plug(rig.machine.hardware, rig.device(C));
      rig.wake();
      await rig.clock.advance(60_000);
      // Just after a failure, with a wait of more than a minute before the next try.
      const { attempts } = rig;
      while (rig.attempts === attempts) await rig.clock.advance(10);
      expect(rig.device(C).bound).toBeNull();
      expect(await rig.removed(A)).toBeLessThan(1000);
      expect(rig.device(B).bound).not.toBeNull();
    },
  );

  it('is taken back where it was only unbound', async () => {
    await converged('uevents');
    expect(await rig.removed(A, 'unbind')).toBeLessThan(1000);
    await rig.clock.advance(1000);
    expect(rig.device(A).bound).not.toBeNull();
  });
});

/** Nobody gets a device any more. */
function refuseBinds(): void {
  const { faults } = rig.machine;
  const check = faults.check.bind(faults);
  faults.check = (call, device) => {
    if (call === 'VFIO_DEVICE_BIND_IOMMUFD') throw new SyscallError(call, 'EBUSY', 'injected');
    check(call, device);
  };
}

describe('a device that cannot be had', () => {
  it('is not tried again for the events of its own tries', async () => {
    await converged('uevents');
    await rig.removed(C);
    refuseBinds();
    const { attempts } = rig;
    plug(rig.machine.hardware, rig.device(C));
    await rig.clock.advance(300_000);
    expect(rig.device(C).bound).toBeNull();
    expect(rig.attempts - attempts).toBeLessThan(12);
  });
});

describe('a device that is not ours', () => {
  it('comes and goes, and nothing is done', async () => {
    await converged('uevents');
    const { attempts } = rig;
    const writes = rig.machine.writingCalls.length;
    expect(await rig.removed(UNRELATED)).toBeLessThan(1000);
    plug(rig.machine.hardware, rig.device(UNRELATED));
    await rig.clock.advance(2 * RESYNC_MS);
    expect(rig.attempts).toBe(attempts);
    expect(rig.machine.writingCalls.length).toBe(writes);
  });
});
