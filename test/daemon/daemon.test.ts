/** The daemon as it is asked, in simulated time: conditions, requests, pauses, confirmations, drift, retries. */
import { createHash } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import type { Bdf } from '../../src/base/ids.ts';
import type { Condition, ConditionType, DaemonEvent } from '../../src/daemon/control.ts';
import { Daemon } from '../../src/daemon/daemon.ts';
import type { DriftPolicy } from '../../src/daemon/loop.ts';
import { Wakeup } from '../../src/daemon/wakeup.ts';
import { Wishes } from '../../src/daemon/wishes.ts';
import { MemoryJournal } from '../../src/engine/journal.ts';
import { plug, unplug } from '../../src/kernel/sim/events.ts';
import { Machine } from '../../src/kernel/sim/machine.ts';
import type { SimDevice } from '../../src/kernel/sim/objects.ts';
import type { Source } from '../../src/source/files.ts';
import type { HostDocument } from '../../src/spec/types.generated.ts';
import { SimClock } from '../sim/clock.ts';
import { hostIn } from '../support/world.ts';

type Documents = Readonly<Record<string, object>>;

const A = { pci: '0000:01:00.0' };
const B = { pci: '0000:01:00.1' };

interface RigOptions {
  readonly drift?: DriftPolicy;
  readonly faults?: NonNullable<NonNullable<HostDocument['simulation']>['faults']>;
}

/** A daemon over a model, with hands on both. */
class Rig {
  readonly clock = new SimClock();
  readonly machine: Machine;
  readonly daemon: Daemon;
  readonly events: DaemonEvent[] = [];
  readonly wishes = new Wishes();
  readonly #wakeup = new Wakeup(this.clock);
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  /** Who is writing to the files. */
  writer: string | null = null;
  #documents: Documents;
  #kind = 'Container';

  constructor(documents: Documents, { drift = 'correct', faults = [] }: RigOptions = {}) {
    this.#documents = documents;
    this.machine = new Machine(
      { ...hostIn('test/cases/host.yaml'), simulation: { faults: [...faults] } },
      { clock: this.clock },
    );
    this.daemon = new Daemon({
      host: {
        syscalls: this.machine.syscalls,
        journal: new MemoryJournal(this.machine.held),
        known: this.machine.known,
        clock: this.clock,
        hostName: 'node-7',
        ownPid: 0,
      },
      clock: this.clock,
      wallMs: () => 1_800_000_000_000 + this.clock.now(),
      timing: { settleMs: 500, removalGraceMs: 30_000, resyncMs: 10_000 },
      parallel: 4,
      drift,
      signal: this.#stop.signal,
      wakeup: this.#wakeup,
      wishes: this.wishes,
      random: () => 0.5,
      paths: ['/etc/autodomain.d'],
      pid: 7,
      version: '0.0.0',
      watchDegraded: () => null,
      stuck: () => [],
      read: () => this.#source(),
      report: () => undefined,
    });
    this.daemon.subscribe((event) => this.events.push(event));
    this.#done = this.daemon.run();
  }

  async write(documents: Documents): Promise<void> {
    this.#documents = documents;
    this.#kind = 'Container';
    this.#wakeup.wake({ kind: 'files' });
    await this.clock.advance(2000);
  }

  async break(): Promise<void> {
    this.#kind = 'Kontainer';
    this.#wakeup.wake({ kind: 'files' });
    await this.clock.advance(2000);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.clock.advance(20_000);
    await this.#done;
  }

  condition(type: ConditionType, container?: string): Condition | undefined {
    const status = this.daemon.status();
    const conditions =
      container === undefined
        ? status.daemon.conditions
        : status.containers.find(({ name }) => name === container)?.conditions;
    return conditions?.find((each) => each.type === type);
  }

  get digest(): string {
    return this.daemon.status().source.attempted?.digest ?? '';
  }

  get attempts(): number {
    return this.events.filter(({ kind }) => kind === 'attempted').length;
  }

  #source(): Source {
    const files = Object.entries(this.#documents).map(([name, spec]) => ({
      path: `${name}.yaml`,
      bytes: new TextEncoder().encode(
        JSON.stringify({
          apiVersion: 'autodomain.dev/v1alpha1',
          kind: this.#kind,
          metadata: { name },
          spec,
        }),
      ),
    }));
    const hash = createHash('sha256').update(`${this.#kind}${JSON.stringify(this.#documents)}`);
    const digest = `sha256:${hash.digest('hex')}`;
    return { files, issues: [], digest, revision: 'c0ffee', roots: [], unsettled: this.writer };
  }
}

let rig: Rig;

async function start(documents: Documents, options?: RigOptions): Promise<Rig> {
  rig = new Rig(documents, options);
  await rig.clock.advance(5000);
  return rig;
}

afterEach(() => rig.stop());

describe('a daemon', () => {
  it('says what it holds and when it looks again', async () => {
    await start({ blue: { devices: [A], dirtyTracking: { mode: 'preferred' } } });
    const status = rig.daemon.status();
    expect(status.containers).toMatchObject([
      {
        name: 'blue',
        devices: [{ pci: A.pci, state: 'attached', hwpt: status.containers[0]?.hwpts[0]?.id }],
      },
    ]);
    expect(rig.condition('Ready')).toMatchObject({ status: 'True', observedDigest: rig.digest });
    expect(status.source.applied).toEqual(status.source.attempted);
    expect(status.history).toMatchObject([{ id: 'a1', result: 'applied' }]);
    expect(rig.daemon.isReady()).toBe(true);
  });

  it('keeps what is in force over an invalid config, and says so', async () => {
    await start({ blue: { devices: [A] } });
    const { applied } = rig.daemon.status().source;
    await rig.break();
    expect(rig.condition('SourceReady')).toMatchObject({
      status: 'False',
      reason: 'ConfigInvalid',
    });
    expect(rig.condition('Ready')?.status).toBe('False');
    expect(rig.condition('Ready', 'blue')?.status).toBe('True');
    expect(rig.daemon.status().source.applied).toEqual(applied);
    expect(rig.daemon.outcomeOf(rig.daemon.reconcile())).toBe('pending');
    await rig.clock.advance(1000);
    expect(rig.daemon.outcomeOf('r1')).toBe('stalled');
  });

  it('serves a request with a look that began after it', async () => {
    await start({ blue: { devices: [A] } });
    const request = rig.daemon.reconcile();
    expect(rig.daemon.outcomeOf(request)).toBe('pending');
    await rig.clock.advance(100);
    expect(rig.daemon.outcomeOf(request)).toBe('ready');
    expect(rig.daemon.outcomeOf('r99')).toBe('unknown');
  });

  it('names what is in the way, and goes on when it is gone', async () => {
    await start({ blue: { devices: [{ pci: '0000:99:00.0' }] }, red: { devices: [A] } });
    expect(rig.condition('Ready', 'blue')).toMatchObject({ reason: 'DeviceMissing' });
    expect(rig.condition('Stalled', 'blue')?.status).toBe('True');
    expect(rig.condition('Ready', 'red')?.status).toBe('True');
    expect(rig.daemon.status().containers[0]?.devices).toMatchObject([{ state: 'missing' }]);
    expect(rig.condition('Stalled')).toMatchObject({ status: 'True', message: 'blue' });
    await rig.write({ red: { devices: [A] } });
    expect(rig.condition('Ready')?.status).toBe('True');
  });
});

describe('a pause', () => {
  it('applies nothing, goes on looking, and ends with resume', async () => {
    await start({ blue: { devices: [A] } });
    rig.daemon.suspend('alice');
    await rig.write({ blue: { devices: [A, B] } });
    await rig.clock.advance(60_000);
    expect(rig.attempts).toBe(1);
    expect(rig.condition('Suspended')).toMatchObject({ status: 'True', message: /alice/ });
    expect(rig.condition('Ready', 'blue')).toMatchObject({ reason: 'Suspended' });
    rig.daemon.resume();
    await rig.clock.advance(5000);
    expect(rig.condition('Ready')?.status).toBe('True');
    expect(rig.attempts).toBe(2);
  });
});

describe('a confirmation', () => {
  const THREE = { blue: { devices: [A, B] }, red: { devices: [{ pci: '0000:02:00.0' }] } };

  it('is for one digest, once', async () => {
    await start({ blue: { deletion: 'confirm', devices: [A] } });
    await rig.write({ blue: { deletion: 'confirm', state: 'absent', devices: [A] } });
    expect(rig.condition('Ready', 'blue')).toMatchObject({ reason: 'NeedsConfirmation' });
    const other = { digest: 'sha256:0', containers: ['blue'], removals: null };
    expect(rig.daemon.confirm(other)).toBe(false);
    await rig.clock.advance(1000);
    expect(rig.attempts).toBe(1);
    expect(rig.daemon.confirm({ ...other, digest: rig.digest })).toBe(true);
    await rig.clock.advance(5000);
    expect(rig.daemon.status().containers).toEqual([]);
    expect(rig.wishes.confirmationFor(rig.digest)).toBeNull();
  });

  it('never approves the next config', async () => {
    await start(THREE);
    await rig.write({ red: THREE.red });
    await rig.clock.advance(60_000);
    expect(rig.condition('Ready', 'blue')).toMatchObject({ reason: 'TooManyRemovals' });
    // Confirmed for a config that is replaced before it could be acted on.
    rig.daemon.suspend('bob');
    const confirmation = { digest: rig.digest, containers: [], removals: 3 };
    expect(rig.daemon.confirm(confirmation)).toBe(true);
    await rig.write({});
    rig.daemon.resume();
    await rig.clock.advance(120_000);
    expect(rig.condition('Ready', 'red')).toMatchObject({ reason: 'TooManyRemovals' });
  });
});

describe('trouble', () => {
  it('that passes is tried again after a growing while; a new config does not wait', async () => {
    const fault = { call: 'VFIO_DEVICE_BIND_IOMMUFD', pci: B.pci, errno: 'EIO', times: 99 };
    await start({ blue: { devices: [A] }, red: { devices: [B] } }, { faults: [fault] });
    expect(rig.condition('Ready', 'red')).toMatchObject({ reason: 'RetryLater' });
    expect(rig.condition('Reconciling', 'red')?.status).toBe('True');
    expect(rig.condition('Ready', 'blue')?.status).toBe('True');
    await rig.clock.advance(600_000);
    // 1, 2, 4 ... 256, 300 seconds: no more than ten in ten minutes.
    const slow = rig.attempts;
    expect(slow).toBeLessThan(12);
    expect(slow).toBeGreaterThan(6);
    await rig.write({ blue: { devices: [A] }, red: { devices: [{ pci: '0000:02:00.0' }] } });
    expect(rig.condition('Ready')?.status).toBe('True');
    expect(rig.attempts).toBe(slow + 1);
  });

  it('that does not pass waits for new input', async () => {
    const fault = { call: 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', pci: B.pci, errno: 'EADDRINUSE' };
    await start({ blue: { devices: [A] }, red: { devices: [B] } }, { faults: [fault] });
    expect(rig.condition('Stalled', 'red')).toMatchObject({ status: 'True', reason: 'Failed' });
    expect(rig.condition('Ready', 'red')?.message).toMatch(/EADDRINUSE.*autodomain reconcile/);
    const { attempts } = rig;
    await rig.clock.advance(600_000);
    expect(rig.attempts).toBe(attempts);
    expect(rig.condition('Ready', 'blue')?.status).toBe('True');
    rig.daemon.reconcile();
    await rig.clock.advance(5000);
    expect(rig.condition('Ready')?.status).toBe('True');
  });
});

describe('a host that leaves what was applied', () => {
  const deviceA = (): SimDevice => {
    const device = rig.machine.hardware.devices.get(A.pci as Bdf);
    if (device === undefined) throw new Error('the host has the device');
    return device;
  };

  /** Somebody removes the device; the daemon lets it go; it comes back. */
  async function replug(): Promise<void> {
    void unplug(rig.machine, deviceA());
    await rig.clock.advance(11_000);
    plug(rig.machine.hardware, deviceA());
    await rig.clock.advance(11_000);
  }

  it('is corrected, and said to have left', async () => {
    await start({ blue: { devices: [A] } });
    await replug();
    expect(rig.condition('Ready')?.status).toBe('True');
    expect(rig.events.filter(({ kind }) => kind === 'drifted')).not.toEqual([]);
  });

  it('is only reported where the operator wants that, and corrected on request', async () => {
    await start({ blue: { devices: [A] } }, { drift: 'report' });
    await replug();
    expect(deviceA().bound).toBeNull();
    expect(rig.condition('Drifted', 'blue')).toMatchObject({ status: 'True' });
    expect(rig.condition('Ready', 'blue')).toMatchObject({ reason: 'Drifted' });
    const { attempts } = rig;
    await rig.clock.advance(600_000);
    expect(rig.attempts).toBe(attempts);
    rig.daemon.reconcile();
    await rig.clock.advance(1000);
    expect(rig.condition('Ready')?.status).toBe('True');
    expect(rig.condition('Drifted')?.status).toBe('False');
  });

  it('is corrected on a request that came while somebody wrote to the files', async () => {
    await start({ blue: { devices: [A] } }, { drift: 'report' });
    await replug();
    rig.writer = 'git is writing';
    await rig.clock.advance(11_000);
    const request = rig.daemon.reconcile();
    await rig.clock.advance(1000);
    expect(rig.daemon.outcomeOf(request)).toBe('pending');
    expect(deviceA().bound).toBeNull();
    rig.writer = null;
    await rig.clock.advance(2000);
    expect(rig.daemon.outcomeOf(request)).toBe('ready');
    expect(deviceA().bound).not.toBeNull();
  });

  it('again and again is corrected ever more slowly', async () => {
    await start({ blue: { devices: [A] } });
    for (let n = 0; n < 4; n += 1) await replug();
    expect(rig.events.some(({ text }) => /corrected 3 times in 10 minutes/.test(text))).toBe(true);
    await rig.clock.advance(300_000);
    expect(rig.condition('Ready')?.status).toBe('True');
  });
});
