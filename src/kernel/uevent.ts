/**
 * Kernel uevents as facts: what a message says, and which devices it is about. Pure. Where messages
 * come from is native/uevents.ts; here a message is bytes.
 * Source: lib/kobject_uevent.c (v6.12): `ACTION@DEVPATH`, then `KEY=value` texts, each ended by a zero.
 */
import { type DeviceKey, isBdf, isMdevUuid } from '../base/ids.ts';

/** Something that the kernel said about an object of the device model. */
export interface Uevent {
  /** `add`, `remove`, `bind`, `unbind`, `change`, `move`, `online`, `offline`. */
  readonly action: string;
  /** Path below /sys, as the kernel writes it. */
  readonly devpath: string;
  readonly subsystem: string;
  /** The PCI function or mdev that it is about: the last one on the path; null for others. */
  readonly device: DeviceKey | null;
  /** The VFIO device file that came or went, such as `vfio3`; null for other subsystems. */
  readonly cdev: string | null;
}

/** What the kernel was heard to say. `overflow`: it said more than there was room for, and nobody knows what. */
export type KernelEvent =
  | { readonly kind: 'uevent'; readonly uevent: Uevent }
  | { readonly kind: 'overflow' };

/** Subsystems whose events change what may be attached to what. */
const SUBSYSTEMS = new Set(['pci', 'vfio-dev', 'mdev', 'iommu']);

/** Parses a message of the kernel; null for anything else, such as udev's own, which begin with `libudev`. */
export function parseUevent(bytes: Uint8Array): Uevent | null {
  const [head, ...texts] = new TextDecoder().decode(bytes).split('\0');
  const values = new Map<string, string>();
  for (const text of texts) {
    const at = text.indexOf('=');
    if (at > 0) values.set(text.slice(0, at), text.slice(at + 1));
  }
  const action = values.get('ACTION');
  const devpath = values.get('DEVPATH');
  const subsystem = values.get('SUBSYSTEM');
  if (action === undefined || devpath === undefined || subsystem === undefined) return null;
  if (head !== `${action}@${devpath}`) return null;
  const parts = devpath.split('/');
  const cdev = subsystem === 'vfio-dev' ? (parts.at(-1) ?? null) : null;
  return { action, devpath, subsystem, device: deviceOn(parts), cdev };
}

/** The devices that events concern: empty where none does, null where it may be any of them. */
export function concernedBy(events: readonly KernelEvent[]): readonly DeviceKey[] | null {
  const keys = new Set<DeviceKey>();
  for (const event of events) {
    if (event.kind === 'overflow') return null;
    const { subsystem, device } = event.uevent;
    if (!SUBSYSTEMS.has(subsystem)) continue;
    // An IOMMU that comes or goes is about whatever is behind it.
    if (device === null) return null;
    keys.add(device);
  }
  return [...keys];
}

function deviceOn(parts: readonly string[]): DeviceKey | null {
  return (
    (parts.findLast((part) => isBdf(part) || isMdevUuid(part)) as DeviceKey | undefined) ?? null
  );
}
