/**
 * Drivers and device files of all functions at once, from the sides where sysfs lists them: a directory
 * for each driver, a link for each file. For thousands of known functions that is a few reads, not
 * several for each.
 */
import { type DeviceKey, isBdf } from '../base/ids.ts';
import type { Reader } from './reader.ts';

const DRIVERS = '/sys/bus/pci/drivers';
const FILES = '/sys/class/vfio-dev';

/** What sysfs lists by driver and by file. A device without an entry has none. */
export interface LiveLinks {
  readonly driverOf: ReadonlyMap<DeviceKey, string>;
  readonly cdevOf: ReadonlyMap<DeviceKey, string>;
}

/** Reads both lists. */
export function readLiveLinks(reader: Reader): LiveLinks {
  const driverOf = new Map<DeviceKey, string>();
  for (const driver of reader.names(DRIVERS, null) ?? []) {
    for (const name of reader.names(`${DRIVERS}/${driver}`, null) ?? []) {
      if (isBdf(name)) driverOf.set(name, driver);
    }
  }
  const cdevOf = new Map<DeviceKey, string>();
  for (const cdev of reader.names(FILES, null) ?? []) {
    // .../0000:3b:00.2/vfio-dev/vfio3
    const device = reader.link(`${FILES}/${cdev}`, null)?.split('/').at(-3);
    if (device !== undefined) cdevOf.set(device as DeviceKey, cdev);
  }
  return { driverOf, cdevOf };
}
