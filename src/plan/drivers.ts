/** Which VFIO driver a device belongs on, and whether it may be put there. One answer for selection and for the rules. */
import { isVfioDriver } from '../graph/query.ts';
import type { Device, PciDevice } from '../graph/types.ts';
import type { DriverSpec } from '../spec/config.ts';
import type { BlockerCause } from './types.ts';

/** What has to happen to a device's driver before its file can be opened. */
export type DriverState =
  | { readonly state: 'ready' }
  | { readonly state: 'bind'; readonly driver: string }
  | { readonly state: 'blocked'; readonly cause: BlockerCause };

/** The driver that the config wants for a device. */
export function wantedDriver(device: PciDevice, spec: DriverSpec): string {
  return spec.name === 'auto' ? (device.variantDriver ?? 'vfio-pci') : spec.name;
}

/** Where a device that we do not hold stands with its driver. */
export function driverState(device: Device, spec: DriverSpec): DriverState {
  if (device.kind === 'mdev') return fileState(device);
  const wanted = wantedDriver(device, spec);
  if (device.driver === null) return driverlessState(device, wanted, spec);
  if (!isVfioDriver(device.driver)) {
    return blocked({ kind: 'native-driver', device: device.key, driver: device.driver });
  }
  if (sameDriver(device.driver, wanted)) return fileState(device);
  return blocked({
    kind: 'other-vfio-driver',
    device: device.key,
    driver: device.driver,
    wanted,
  });
}

function driverlessState(device: PciDevice, wanted: string, spec: DriverSpec): DriverState {
  const override = device.driverOverride;
  if (override !== null && !sameDriver(override, wanted)) {
    return blocked({ kind: 'foreign-override', device: device.key, override });
  }
  if (spec.take === 'never') return blocked({ kind: 'no-driver', device: device.key });
  return { state: 'bind', driver: wanted };
}

function fileState(device: Device): DriverState {
  if (device.cdev !== null) return { state: 'ready' };
  return blocked({
    kind: 'no-device-file',
    device: device.key,
    driver: device.driver ?? 'its driver',
  });
}

function blocked(cause: BlockerCause): DriverState {
  return { state: 'blocked', cause };
}

/** The kernel's module names and driver names differ in `-` and `_`; both spellings are in use. */
function sameDriver(a: string, b: string): boolean {
  return a.replaceAll('_', '-') === b.replaceAll('_', '-');
}
