/** Binding and unbinding of drivers in the model. Source: drivers/base/bus.c, drivers/vfio/vfio_main.c (v6.12). */
import type { DeviceKey } from '../../base/ids.ts';
import { SyscallError } from '../port.ts';
import { isVfio } from './device.ts';
import type { Hardware } from './hardware.ts';
import type { SimDevice } from './objects.ts';
import type { DriverWrites, KernelOffers } from './sysfs.ts';

/** What writes to `bind` and `unbind` do. */
export function driverWrites(hardware: Hardware, offers: KernelOffers): DriverWrites {
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
      if (isVfio(driver) && offers.cdevs) device.cdev = lowestCdev(hardware);
    },
    unbind(driver, address) {
      const device = pciFunction(hardware, address);
      if (device.driver !== driver) throw new SyscallError('write', 'ENODEV', address);
      device.driver = null;
      device.cdev = null;
    },
  };
}

function pciFunction(hardware: Hardware, address: string): SimDevice {
  const device = hardware.devices.get(address as DeviceKey);
  if (!device?.present || device.pci === null) throw new SyscallError('write', 'ENODEV', address);
  return device;
}

/** The lowest device file number that is free. */
export function lowestCdev(hardware: Hardware): string {
  const taken = new Set([...hardware.devices.values()].map((device) => device.cdev));
  let number = 0;
  while (taken.has(`vfio${number}`)) number += 1;
  return `vfio${number}`;
}
