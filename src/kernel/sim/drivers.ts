/** Binding and unbinding of drivers in the model. Source: drivers/base/bus.c, drivers/vfio/vfio_main.c (v6.12). */
import type { Clock } from '../../base/clock.ts';
import type { DeviceKey } from '../../base/ids.ts';
import { SyscallError } from '../port.ts';
import { isVfio } from './device.ts';
import type { Hardware } from './hardware.ts';
import type { SimDevice } from './objects.ts';
import type { DriverWrites, KernelOffers } from './sysfs.ts';
import { say } from './uevents.ts';

/** What writes to `bind` and `unbind` do. */
export function driverWrites(hardware: Hardware, offers: KernelOffers, clock: Clock): DriverWrites {
  return {
    bind(driver, address) {
      const device = pciFunction(hardware, address);
      if (device.driver !== null) throw new SyscallError('write', 'EBUSY', address);
      if (device.driverOverride !== driver) throw new SyscallError('write', 'ENODEV', address);
      if (isVfio(driver) && device.group === null) {
        throw new SyscallError('write', 'EINVAL', address);
      }
      if (!isVfio(driver) && device.group?.owner) throw new SyscallError('write', 'EBUSY', address);
      device.driver = driver;
      if (isVfio(driver) && offers.cdevs) addCdev(hardware, device);
      say(hardware, 'bind', device);
    },
    unbind(driver, address) {
      const device = pciFunction(hardware, address);
      if (device.driver !== driver) throw new SyscallError('write', 'ENODEV', address);
      return takeOff(hardware, clock, device);
    },
  };
}

function pciFunction(hardware: Hardware, address: string): SimDevice {
  const device = hardware.devices.get(address as DeviceKey);
  if (!device?.present || device.pci === null) throw new SyscallError('write', 'ENODEV', address);
  return device;
}

/** How often the kernel asks again. Source: vfio_unregister_group_dev. */
const ASK_EVERY_MS = 10_000;

/**
 * Takes the driver off a device. Its device file vanishes at once; if we have it open we are asked for
 * it, and the caller sleeps until it is closed. Open files work on until then. `next` happens with the end.
 */
export function takeOff(
  hardware: Hardware,
  clock: Clock,
  device: SimDevice,
  next: () => void = () => undefined,
): Promise<void> {
  const { cdev, driver } = device;
  device.driver = null;
  device.cdev = null;
  if (cdev !== null) say(hardware, 'remove', device, cdev);
  const done = new Promise<void>((resolve) => {
    const ended = (): void => {
      if (driver !== null) say(hardware, 'unbind', device);
      next();
      resolve();
    };
    if (device.bound === null) ended();
    else device.leaving = { ended };
  });
  void ask(clock, device);
  return done;
}

async function ask(clock: Clock, device: SimDevice): Promise<void> {
  const { leaving } = device;
  while (leaving !== null && device.leaving === leaving) {
    device.request?.onSignal();
    await clock.sleep(ASK_EVERY_MS);
  }
}

/** Gives a device that got a VFIO driver its device file, with the lowest free number. */
export function addCdev(hardware: Hardware, device: SimDevice): void {
  const cdev = lowestCdev(hardware);
  device.cdev = cdev;
  say(hardware, 'add', device, cdev);
}

function lowestCdev(hardware: Hardware): string {
  const taken = new Set([...hardware.devices.values()].map((device) => device.cdev));
  let number = 0;
  while (taken.has(`vfio${number}`)) number += 1;
  return `vfio${number}`;
}
