/**
 * What happens to a host without us: devices come and go, other processes take them and let go.
 * Source: 6.12's hot-remove of a device on vfio-pci: its file vanishes at once, open files work on
 * until they are closed, and only then it is gone.
 */
import { assert } from '../../base/assert.ts';
import type { Clock } from '../../base/clock.ts';
import { isVfio, ownsNoDma } from './device.ts';
import { addCdev, takeOff } from './drivers.ts';
import type { Hardware } from './hardware.ts';
import type { SimDevice, SimHolder } from './objects.ts';
import { say } from './uevents.ts';

/** Where events happen, and the time that they take. */
export interface Place {
  readonly hardware: Hardware;
  readonly clock: Clock;
}

/** Removes a device: it goes at once, or with our last close if we have it open; then the remover wakes up. */
export function unplug({ hardware, clock }: Place, device: SimDevice): Promise<void> {
  assert(device.present && !device.leaving, `${device.key} is plugged in`);
  device.driverOverride = null;
  return takeOff(hardware, clock, device, () => {
    device.present = false;
    say(hardware, 'remove', device);
  });
}

/** Somebody takes the driver off a device by hand; it stays, and so does its override. */
export function unbindDriver({ hardware, clock }: Place, device: SimDevice): Promise<void> {
  assert(device.driver !== null, `${device.key} has a driver`);
  return takeOff(hardware, clock, device);
}

/** A device comes back in its old place, without a driver; an mdev with its file. */
export function plug(hardware: Hardware, device: SimDevice): void {
  assert(!device.present, `${device.key} is gone`);
  device.present = true;
  device.inode += 1;
  say(hardware, 'add', device);
  if (device.mdev === null) return;
  device.driver = 'vfio_mdev';
  addCdev(hardware, device);
  say(hardware, 'bind', device);
}

/** Another process opens and binds a device. False: it cannot, because of its driver, or because we have it. */
export function steal(device: SimDevice, by: SimHolder): boolean {
  const { group } = device;
  const free =
    device.cdev !== null &&
    device.bound === null &&
    device.holders.length === 0 &&
    (group === null ||
      (group.owner === null && group.members.every((mate) => ownsNoDma(mate.driver))));
  if (free) device.holders.push(by);
  return free;
}

/** Whoever took the device closes it. */
export function giveBack(device: SimDevice): void {
  device.holders.length = 0;
}

/** Somebody binds a driverless function to its native driver. False: it has a driver, or a mate is in use. */
export function probeNative(hardware: Hardware, device: SimDevice, driver: string): boolean {
  const free = device.present && device.driver === null && device.driverOverride === null;
  const allowed = free && !device.leaving && !device.group?.owner && !isVfio(driver);
  if (!allowed) return false;
  device.driver = driver;
  say(hardware, 'bind', device);
  return true;
}
