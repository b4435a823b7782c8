/** How plans and graphs name objects of a context before and after the kernel gave them an id. */
import { type DeviceKey, isBdf } from '../base/ids.ts';
import type { ObjectRef } from './types.ts';

/** The name of an object that has an id: `#3`. */
export function idRef(id: number): ObjectRef {
  return `#${id}` as ObjectRef;
}

/** The name of an object that a step will make: `+NAME`. Unique in its context. */
export function newRef(name: string): ObjectRef {
  return `+${name}` as ObjectRef;
}

/** The id that a name carries, or null for an object that is still to be made. */
export function idOf(ref: ObjectRef): number | null {
  return ref.startsWith('#') ? Number(ref.slice(1)) : null;
}

/** The object as people read it: `HWPT 3` for an id, `new HWPT spdk-blue.h1` for one to be made. */
export function formatRef(type: 'HWPT' | 'IOAS', ref: ObjectRef): string {
  return ref.startsWith('#') ? `${type} ${ref.slice(1)}` : `new ${type} ${ref.slice(1)}`;
}

/** What a device attaches to: a PCI function to a HWPT, an mdev to an IOAS. */
export function tableType(device: DeviceKey): 'HWPT' | 'IOAS' {
  return isBdf(device) ? 'HWPT' : 'IOAS';
}
