/** A context in the hands of a consumer: nothing is planned in it, and what comes back is not trusted. */
import { describe, expect, it } from 'vitest';
import type { Clock, MonotonicMs } from '../../src/base/clock.ts';
import type { Bdf } from '../../src/base/ids.ts';
import { runContextOf } from '../../src/engine/host.ts';
import { takeBack } from '../../src/engine/take-back.ts';
import type { Consumer } from '../../src/graph/types.ts';
import { allocIoas } from '../../src/kernel/iommufd.ts';
import type { Fd } from '../../src/kernel/port.ts';
import { unplug } from '../../src/kernel/sim/events.ts';
import type { SimDevice } from '../../src/kernel/sim/objects.ts';
import { setBusMaster } from '../../src/kernel/vfio.ts';
import { leaksOf } from '../support/leaks.ts';
import { configOf, hostIn, World } from '../support/world.ts';

const QEMU: Consumer = { pid: 812, start: '99', comm: 'qemu', uid: 107, container: 'blue' };
const A = '0000:01:00.0' as Bdf;

/** The kernel asks for the device every ten seconds: not in a test whose time passes at once. */
const STOPPED: Clock = {
  now: () => 0 as MonotonicMs,
  sleep: () => new Promise(() => undefined),
};

function config(...devices: readonly string[]): ReturnType<typeof configOf> {
  return configOf(
    JSON.stringify({
      apiVersion: 'autodomain.dev/v1alpha1',
      kind: 'Container',
      metadata: { name: 'blue' },
      spec: { devices: devices.map((pci) => ({ pci })) },
    }),
  );
}

async function handedOut(reset: 'flr' | null = 'flr'): Promise<World> {
  const document = hostIn('test/cases/host.yaml');
  const devices = (document.spec.devices ?? []).map(({ reset: _, ...device }) =>
    device.pci === A && reset === null ? device : { ...device, reset: 'flr' },
  );
  const world = new World({ ...document, spec: { ...document.spec, devices } });
  await world.apply(config(A));
  world.host.journal.record('blue', { kind: 'consumers-changed', consumers: [QEMU] });
  return world;
}

function deviceOf(world: World): SimDevice {
  const device = world.machine.hardware.devices.get(A);
  if (device === undefined) throw new Error('the host has the device');
  return device;
}

describe('a context that a consumer has', () => {
  it('is as it should be while nobody wants it otherwise', async () => {
    const world = await handedOut();
    const { plan } = world.plan(config(A));
    expect(plan.blocked).toEqual([]);
    expect(plan.untouched).toEqual(['blue']);
  });

  it('is left alone, and who has it is named', async () => {
    const world = await handedOut();
    for (const wanted of [config(A, '0000:01:00.1'), config()]) {
      const { plan } = world.plan(wanted);
      expect(plan.steps).toEqual([]);
      expect(plan.blocked).toMatchObject([{ kind: 'handed-out', by: [{ pid: 812 }] }]);
    }
  });

  it('is left alone even where somebody removes a device of it', async () => {
    const world = await handedOut();
    void unplug({ hardware: world.machine.hardware, clock: STOPPED }, deviceOf(world));
    expect(world.plan(config(A)).plan.steps).toEqual([]);
  });

  it('may hold what only the consumer knows', async () => {
    const world = await handedOut();
    const [held] = world.host.journal.contexts();
    // The consumer frees the IOAS's id for something else: no contradiction, because it may.
    allocIoas(world.host.syscalls, held?.fd as Fd);
    expect(world.plan(config(A)).plan.blocked).toEqual([]);
  });
});

describe('what comes back from a consumer', () => {
  it('is stopped, let go whole, and built anew', async () => {
    const world = await handedOut();
    const [held] = world.host.journal.contexts();
    setBusMaster(world.host.syscalls, held?.devices[0]?.fd as Fd, true);
    world.machine.calls.length = 0;
    const taken = await takeBack('blue', runContextOf(world.host));
    expect(taken).toEqual({ context: 'blue', tainted: [], troubles: [] });
    const names = world.machine.writingCalls.map(({ name }) => name);
    expect(names).toEqual(['pwrite', 'VFIO_DEVICE_DETACH_IOMMUFD_PT', 'close', 'close']);
    expect(leaksOf(world.machine, world.host.journal)).toEqual([]);
    expect(world.host.journal.contexts()).toEqual([]);
    const again = await world.apply(config(A));
    expect(again.result.cells.map(({ result }) => result)).toEqual(['applied']);
  });

  it('goes to nobody where it cannot be reset, until somebody says so', async () => {
    const world = await handedOut(null);
    const { tainted } = await takeBack('blue', runContextOf(world.host));
    expect(tainted).toEqual([A]);
    const { plan } = world.plan(config(A));
    expect(plan.steps).toEqual([]);
    expect(plan.blocked).toMatchObject([{ kind: 'tainted', why: 'has no working reset' }]);
    world.host.journal.taint(A, null);
    const again = await world.apply(config(A));
    expect(again.drift).toEqual([]);
  });
});
