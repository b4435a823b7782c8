/** How plans and graphs name objects of a context before and after the kernel gave them an id. */
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

/** The name as people read it: `3` for an id, `new spdk-blue.h1` for an object to be made. */
export function formatRef(ref: ObjectRef): string {
  return ref.startsWith('#') ? ref.slice(1) : `new ${ref.slice(1)}`;
}
