/** Uevents of the model. Source: drivers/base/core.c, drivers/vfio/vfio_main.c (v6.12), in the order that the lab's kernel showed. */
import type { Uevent } from '../uevent.ts';
import type { Hardware } from './hardware.ts';
import type { SimDevice } from './objects.ts';

/** Tells every listener about a device, or about its VFIO device file. */
export function say(hardware: Hardware, action: string, device: SimDevice, cdev?: string): void {
  const path = `/devices/${device.pci === null ? 'virtual/mtty/mtty' : 'pci0000:00'}/${device.key}`;
  const about = { action, device: device.key };
  const uevent: Uevent =
    cdev === undefined
      ? { ...about, devpath: path, subsystem: device.pci === null ? 'mdev' : 'pci', cdev: null }
      : { ...about, devpath: `${path}/vfio-dev/${cdev}`, subsystem: 'vfio-dev', cdev };
  for (const listener of [...hardware.listeners]) listener(uevent);
}
