/** The request interrupt in the model: armed for what we hold, left to consumers, heard in time. */
import { describe, expect, it, vi } from 'vitest';
import type { DevId, DeviceKey } from '../../src/base/ids.ts';
import { DeviceWatch } from '../../src/daemon/device-watch.ts';
import type { Consumer, HeldContext } from '../../src/graph/types.ts';
import { openIommufd } from '../../src/kernel/iommufd.ts';
import type { Fd } from '../../src/kernel/port.ts';
import { plug, unbindDriver, unplug } from '../../src/kernel/sim/events.ts';
import { Machine } from '../../src/kernel/sim/machine.ts';
import type { SimDevice } from '../../src/kernel/sim/objects.ts';
import { concernedBy, type Uevent } from '../../src/kernel/uevent.ts';
import { bindIommufd, openDevice } from '../../src/kernel/vfio.ts';
import { SimClock } from '../sim/clock.ts';
import { hostIn } from '../support/world.ts';

const KEY = '0000:01:00.0' as DeviceKey;

const CONSUMER: Consumer = { pid: 9, start: '1', comm: 'qemu', uid: 107, container: 'x' };

class Rig {
  readonly clock = new SimClock();
  readonly machine = new Machine(hostIn('test/cases/host.yaml'), { clock: this.clock });
  readonly requests: DeviceKey[] = [];
  readonly asked: DeviceKey[] = [];
  readonly said: string[] = [];
  readonly watch = new DeviceWatch({
    syscalls: this.machine.syscalls,
    openSignalLine: (onSignal) => this.machine.openSignalLine(onSignal),
    onRequest: (device) => this.requests.push(device),
    onConsumerRequest: (device) => this.asked.push(device),
  });

  constructor() {
    this.machine.listen((uevent: Uevent) => {
      this.said.push(`${uevent.action} ${uevent.subsystem} ${uevent.device}`);
      this.watch.heard([{ kind: 'uevent', uevent }]);
    });
  }

  get device(): SimDevice {
    const device = this.machine.hardware.devices.get(KEY);
    if (!device) throw new Error(`the host has no ${KEY}`);
    return device;
  }

  async hold(key = KEY): Promise<{ fd: Fd; held: readonly HeldContext[] }> {
    const { syscalls, hardware } = this.machine;
    const iommufd = openIommufd(syscalls);
    const fd = openDevice(syscalls, hardware.devices.get(key)?.cdev ?? '');
    const devId = await bindIommufd(syscalls, fd, iommufd);
    const devices = [{ key, fd, devId, pt: null }];
    return { fd, held: [{ name: 'x', fd: iommufd, consumers: [], containers: [], devices }] };
  }

  async close(fd: Fd): Promise<void> {
    await this.machine.syscalls.slow.close(fd);
  }
}

describe('the request interrupt', () => {
  it('is heard at once and every ten seconds, until the device is closed and the remover goes on', async () => {
    const rig = new Rig();
    const { fd, held } = await rig.hold();
    rig.watch.follow(held);
    expect(rig.watch.armed).toEqual([KEY]);
    let isGone = false;
    void unplug(rig.machine, rig.device).then(() => {
      isGone = true;
    });
    await rig.clock.advance(1);
    expect(rig.requests).toEqual([KEY]);
    await rig.clock.advance(25_000);
    expect(rig.requests).toHaveLength(3);
    expect([isGone, rig.device.present]).toEqual([false, true]);
    await rig.close(fd);
    rig.watch.follow([]);
    await rig.clock.advance(30_000);
    expect([isGone, rig.device.present]).toEqual([true, false]);
    expect(rig.requests).toHaveLength(3);
    expect(rig.watch.armed).toEqual([]);
    expect(rig.said).toEqual([`remove vfio-dev ${KEY}`, `unbind pci ${KEY}`, `remove pci ${KEY}`]);
  });

  it('is armed once for one open, and anew for the next', async () => {
    const rig = new Rig();
    const { fd, held } = await rig.hold();
    const irqs = (): number =>
      rig.machine.calls.filter(({ name }) => name === 'VFIO_DEVICE_SET_IRQS').length;
    rig.watch.follow(held);
    rig.watch.follow(held);
    expect(irqs()).toBe(1);
    await rig.close(fd);
    rig.watch.follow([]);
    expect(rig.machine.openLines, 'its eventfd is closed').toBe(0);
    const again = await rig.hold();
    rig.watch.follow(again.held);
    expect(irqs()).toBe(2);
    void unbindDriver(rig.machine, rig.device);
    expect(rig.requests).toEqual([KEY]);
    expect(rig.device.present).toBe(true);
  });

  it('is armed anew for a device that was closed and opened again under the same number', async () => {
    const rig = new Rig();
    const { fd, held } = await rig.hold();
    rig.watch.follow(held);
    await rig.close(fd);
    const again = await rig.hold();
    // The kernel gives out the lowest free number, and the journal has only that.
    const devices = [{ key: KEY, fd, devId: 1 as DevId, pt: null }];
    const sameNumber = again.held.map((context) => ({ ...context, devices }));
    const { syscalls } = rig.machine;
    const { ioctl } = syscalls;
    const asked: number[] = [];
    vi.spyOn(syscalls, 'ioctl').mockImplementation((on, request, arg) => {
      asked.push(on);
      return ioctl(on === fd ? again.fd : on, request, arg);
    });
    rig.watch.follow(sameNumber, new Set([KEY]));
    expect(asked).toEqual([fd]);
    expect(rig.device.request).not.toBeNull();
    expect(rig.machine.openLines).toBe(1);
  });

  it('makes no call on the number of a file that is closed', async () => {
    const rig = new Rig();
    const { fd, held } = await rig.hold();
    rig.watch.follow(held);
    await rig.close(fd);
    const before = rig.machine.calls.length;
    rig.watch.follow([]);
    rig.watch.close();
    expect(rig.machine.calls.length).toBe(before);
  });

  it("is a consumer's while it has the device, which is then asked for by the uevent", async () => {
    const rig = new Rig();
    const { fd, held } = await rig.hold();
    rig.watch.follow(held);
    const [context] = held;
    if (context === undefined) throw new Error('a context is held');
    rig.watch.follow([{ ...context, consumers: [CONSUMER] }]);
    expect([rig.watch.armed, rig.device.request]).toEqual([[], null]);
    void unplug(rig.machine, rig.device);
    await rig.clock.advance(1);
    expect([rig.requests, rig.asked]).toEqual([[], [KEY]]);
    rig.watch.follow(held);
    expect(rig.watch.armed).toEqual([KEY]);
    await rig.clock.advance(10_000);
    expect(rig.requests, 'the kernel asks again').toEqual([KEY]);
    await rig.close(fd);
  });

  it('is not asked for again where a device refuses it, nor for an mdev', async () => {
    const rig = new Rig();
    const { held } = await rig.hold();
    rig.machine.faults.failNth(1, (call) => (call === 'VFIO_DEVICE_SET_IRQS' ? 'EINVAL' : null));
    rig.watch.follow(held);
    rig.watch.follow(held);
    expect([rig.watch.armed, rig.machine.openLines]).toEqual([[], 0]);
    const mdev = [...rig.machine.hardware.devices.values()].find((each) => each.mdev !== null);
    const other = await rig.hold(mdev?.key);
    rig.watch.follow(other.held);
    expect(rig.watch.armed).toEqual([]);
  });

  it('finds a device again that comes back', async () => {
    const rig = new Rig();
    await unplug(rig.machine, rig.device);
    plug(rig.machine.hardware, rig.device);
    const events = rig.said.filter((text) => text.endsWith(KEY));
    expect(events.at(-1)).toBe(`add pci ${KEY}`);
    const uevent = { action: 'add', devpath: '', subsystem: 'pci', device: KEY, cdev: null };
    expect(concernedBy([{ kind: 'uevent', uevent }])).toEqual([KEY]);
  });
});
