/**
 * What an observation remembers: the same as reading everything, whatever happens in between; less to
 * read; and nothing that could have changed.
 */
import { describe, expect, it } from 'vitest';
import type { Clock, MonotonicMs } from '../../src/base/clock.ts';
import type { DeviceKey } from '../../src/base/ids.ts';
import { observeHost } from '../../src/engine/host.ts';
import type { Observation, PciDevice } from '../../src/graph/types.ts';
import { ObservationCache } from '../../src/kernel/observe-cache.ts';
import type { Syscalls } from '../../src/kernel/port.ts';
import { giveBack, plug, probeNative, steal, unplug } from '../../src/kernel/sim/events.ts';
import { seeded } from '../support/rng.ts';
import { configOf, hostIn, World } from '../support/world.ts';

const A = '0000:01:00.0' as DeviceKey;

class Times implements Clock {
  ms = 0;
  now(): MonotonicMs {
    return this.ms as MonotonicMs;
  }
  async sleep(): Promise<void> {}
}

/** Whoever asks for a device asks once and waits. */
const STILL: Clock = {
  now: () => 0 as MonotonicMs,
  sleep: () => new Promise(() => undefined),
};

function container(name: string, devices: readonly object[], more: object = {}): string {
  return JSON.stringify({
    apiVersion: 'autodomain.dev/v1alpha1',
    kind: 'Container',
    metadata: { name },
    spec: { devices, ...more },
  });
}

const CONFIGS = [
  container('a', [{ pci: A }]),
  container('a', [{ pci: A }], { dirtyTracking: { mode: 'required' } }),
  container('a', [{ pci: '0000:01:00.1' }, { pci: '0000:02:00.0' }]),
  container('a', [{ pci: '0000:05:01.0' }, { pci: '0000:05:02.0' }]),
  container('a', [{ mdev: '83b8f4f2-509f-382f-3c1e-e6bfe0fa1001' }]),
].map((text) => configOf(text));

/** One thing that happens to a host. */
async function happen(world: World, random: () => number): Promise<void> {
  const { hardware, syscalls } = world.machine;
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const device = pick([...hardware.devices.values()]);
  switch (Math.floor(random() * 7)) {
    case 0:
      if (device.present && !device.leaving) void unplug({ hardware, clock: STILL }, device);
      return;
    case 1:
      if (!device.present) plug(hardware, device);
      return;
    case 2:
      steal(device, { pid: 999, comm: 'dpdk', uid: 0 });
      return;
    case 3:
      giveBack(device);
      return;
    case 4:
      probeNative(hardware, device, 'e1000e');
      return;
    case 5: {
      const path = `/sys/bus/pci/devices/${device.key}/driver_override`;
      const word = pick(['vfio-pci', '\n', 'pci-stub']);
      if (device.pci !== null && device.present) await syscalls.slow.writeText(path, word);
      return;
    }
    default:
      await world.apply(pick(CONFIGS), { removalsAllowed: 99 });
  }
}

function observed(world: World, cache: ObservationCache | null): Observation {
  const host = cache === null ? world.host : { ...world.host, cache };
  return observeHost(host).observation;
}

function deviceIn({ devices }: Observation, key: DeviceKey): PciDevice {
  return devices.find((device) => device.key === key) as PciDevice;
}

describe('an observation with a memory', () => {
  it('says what one without says, after whatever happens', async () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const random = seeded(seed);
      const world = new World(hostIn('test/cases/host.yaml'));
      const cache = new ObservationCache(new Times());
      for (let step = 0; step < 25; step += 1) {
        await happen(world, random);
        expect(observed(world, cache), `seed ${seed}, step ${step}`).toEqual(observed(world, null));
      }
    }
  });

  it('reads a fraction of it, and asks a bound device nothing twice', async () => {
    const world = new World(hostIn('test/cases/host.yaml'));
    await world.apply(CONFIGS[1] as (typeof CONFIGS)[0]);
    const { counted, count } = counting(world.machine.syscalls);
    const cache = new ObservationCache(new Times());
    const look = (): number => {
      const before = count();
      observeHost({ ...world.host, syscalls: counted, cache });
      return count() - before;
    };
    const first = look();
    world.machine.calls.length = 0;
    const second = look();
    expect(second).toBeLessThan(first / 2);
    const names = world.machine.calls.map(({ name }) => name);
    expect(names).not.toContain('VFIO_DEVICE_FEATURE');
    expect(names).not.toContain('IOMMU_GET_HW_INFO');
    // Ids that somebody else could free are asked for each time.
    expect(names).toContain('IOMMU_HWPT_GET_DIRTY_BITMAP');
    expect(world.machine.writingCalls).toEqual([]);
  });

  it('believes a group until it is told of a change, or for five minutes', () => {
    const world = new World(hostIn('test/cases/host.yaml'));
    const clock = new Times();
    const cache = new ObservationCache(clock);
    const regions = (): number =>
      observed(world, cache).groups.find(({ id }) => id === 1)?.reserved.length ?? 0;
    const grow = (start: bigint): void => {
      const reserved = world.machine.hardware.groups.get(1)?.reserved as object[];
      reserved.push({ start, last: start + 0xfffn, type: 'reserved' });
    };
    expect(regions()).toBe(1);
    grow(0x1000n);
    expect(regions()).toBe(1);
    cache.invalidate(A);
    expect(regions()).toBe(2);
    grow(0x4000n);
    clock.ms = 299_999;
    expect(regions()).toBe(2);
    clock.ms = 300_000;
    expect(regions()).toBe(3);
  });

  it('takes a function that went and came back for another one', () => {
    const world = new World(hostIn('test/cases/host.yaml'));
    const cache = new ObservationCache(new Times());
    let vendor = '0x8086\n';
    let inode = 7;
    const { syscalls } = world.machine;
    const dir = `/sys/bus/pci/devices/${A}`;
    const port: Syscalls = {
      ...syscalls,
      readText: (path) => (path === `${dir}/vendor` ? vendor : syscalls.readText(path)),
      stat: (path) => (path === dir ? { rdev: null, uid: 0, inode } : syscalls.stat(path)),
    };
    const host = { ...world.host, syscalls: port, cache };
    expect(deviceIn(observeHost(host).observation, A).vendor).toBe('8086');
    vendor = '0x15b3\n';
    inode = 8;
    expect(deviceIn(observeHost(host).observation, A).vendor).toBe('15b3');
  });

  it('does not keep what could not be read', () => {
    const document = hostIn('test/cases/host.yaml');
    const path = `/sys/bus/pci/devices/${A}/vendor`;
    const world = new World({
      ...document,
      spec: { ...document.spec, unreadable: [{ path, errno: 'EIO' }] },
    });
    const cache = new ObservationCache(new Times());
    for (let times = 0; times < 3; times += 1) {
      expect(observed(world, cache).unreadable).toEqual([{ what: path, errno: 'EIO', about: A }]);
    }
  });
});

function counting(syscalls: Syscalls): { counted: Syscalls; count: () => number } {
  let made = 0;
  const counted =
    <A extends unknown[], R>(call: (...args: A) => R) =>
    (...args: A): R => {
      made += 1;
      return call(...args);
    };
  return {
    count: () => made,
    counted: {
      ...syscalls,
      readText: counted(syscalls.readText),
      readDir: counted(syscalls.readDir),
      readLink: counted(syscalls.readLink),
      realPath: counted(syscalls.realPath),
      stat: counted(syscalls.stat),
      ioctl: counted(syscalls.ioctl),
    },
  };
}
