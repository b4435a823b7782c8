/**
 * What we hold, by our own account. The kernel cannot list the objects of a context, so every id
 * and every attachment is written down as it comes about. This implementation keeps it in memory;
 * durable-journal.ts writes it to a file as well.
 */
import { present } from '../base/assert.ts';
import { compareText, type DevId, type DeviceKey, type HwptId, type IoasId } from '../base/ids.ts';
import { idOf } from '../graph/refs.ts';
import type {
  Consumer,
  DeletionPolicy,
  HeldContainer,
  HeldContext,
  HeldDevice,
  HeldHwpt,
  ObjectRef,
} from '../graph/types.ts';
import type { Fd } from '../kernel/port.ts';
import type { Action } from '../steps/def.ts';

/** One change of what we hold, recorded after the kernel made it. */
export type JournalChange = ContextChange | ObjectChange;

/** A change of a whole context. */
type ContextChange =
  | { readonly kind: 'context-opened'; readonly fd: Fd }
  | { readonly kind: 'context-closed' }
  | { readonly kind: 'context-renamed'; readonly to: string }
  | { readonly kind: 'consumers-changed'; readonly consumers: readonly Consumer[] };

/** A change inside a context. */
type ObjectChange =
  | {
      readonly kind: 'device-opened';
      readonly device: DeviceKey;
      readonly fd: Fd;
      readonly devId: DevId;
    }
  | { readonly kind: 'device-closed'; readonly device: DeviceKey }
  | {
      readonly kind: 'ioas-allocated';
      readonly container: string;
      readonly ref: ObjectRef;
      readonly ioas: IoasId;
      readonly deletion: DeletionPolicy;
    }
  | { readonly kind: 'ioas-destroyed'; readonly container: string }
  | {
      readonly kind: 'container-changed';
      readonly container: string;
      readonly change: Partial<Pick<HeldContainer, 'name' | 'allow' | 'hugePages' | 'deletion'>>;
    }
  | {
      readonly kind: 'hwpt-allocated';
      readonly container: string;
      readonly ref: ObjectRef;
      readonly hwpt: HeldHwpt;
    }
  | { readonly kind: 'hwpt-changed'; readonly hwpt: HwptId; readonly active: boolean }
  | { readonly kind: 'hwpt-destroyed'; readonly hwpt: HwptId }
  | {
      readonly kind: 'attached';
      readonly devices: readonly DeviceKey[];
      readonly pt: HwptId | IoasId;
    }
  | { readonly kind: 'detached'; readonly device: DeviceKey };

/** The account of what we hold. */
export interface Journal {
  /** Grows with every change, so that a reader can tell whether an id is still the one it saw. */
  readonly generation: number;
  /** What we hold, sorted: the input of an observation. */
  contexts(): readonly HeldContext[];
  /** Writes down what is about to be done, before the first call, and returns the number to end it by. */
  begin(action: Action): number;
  /** Writes down that an action is over, done or refused: all that it changed is recorded. */
  end(intent: number): void;
  /** Writes down what the kernel has done. */
  record(context: string, change: JournalChange): void;
  /** Notes that a device came back from a consumer and could not be reset; null: it may be used again. */
  taint(device: DeviceKey, why: string | null): void;
  /** Devices that nobody gets, with the reason. */
  tainted(): ReadonlyMap<DeviceKey, string>;
  /** The id behind a name; null for an object that was never made, or is gone. */
  resolve(context: string, ref: ObjectRef): number | null;
}

/** A journal that lives as long as the process. */
export class MemoryJournal implements Journal {
  generation = 0;
  readonly #contexts = new Map<string, HeldContext>();
  readonly #tainted: Map<DeviceKey, string>;
  /** Names of new objects with their ids, by context; they live for one attempt and the rest of the object's life. */
  readonly #made = new Map<string, Map<ObjectRef, number>>();

  constructor(
    held: readonly HeldContext[] = [],
    made: readonly (readonly [context: string, ref: ObjectRef, id: number])[] = [],
    tainted: readonly (readonly [DeviceKey, string])[] = [],
  ) {
    this.#tainted = new Map(tainted);
    for (const context of held) this.#contexts.set(context.name, context);
    for (const [context, ref, id] of made) this.#name(context, ref, id);
  }

  contexts(): readonly HeldContext[] {
    return [...this.#contexts.values()].sort((a, b) => compareText(a.name, b.name));
  }

  /** Names of objects that were made, with their ids. */
  made(): readonly (readonly [context: string, ref: ObjectRef, id: number])[] {
    return [...this.#made].flatMap(([context, names]) =>
      [...names].map(([ref, id]) => [context, ref, id] as const),
    );
  }

  begin(): number {
    return 0;
  }

  end(): void {
    // What lives no longer than the process need not know what was under way.
  }

  record(context: string, change: JournalChange): void {
    this.generation += 1;
    if (change.kind === 'context-opened') {
      this.#contexts.set(context, {
        name: context,
        fd: change.fd,
        consumers: [],
        containers: [],
        devices: [],
      });
      return;
    }
    const before = present(this.#contexts.get(context), `context ${context} in the journal`);
    if (change.kind === 'context-closed') {
      this.#contexts.delete(context);
      this.#made.delete(context);
      return;
    }
    if (change.kind === 'context-renamed') {
      this.#rename(before, change.to);
      return;
    }
    if (change.kind === 'consumers-changed') {
      this.#contexts.set(context, { ...before, consumers: change.consumers });
      return;
    }
    if (change.kind === 'ioas-allocated') this.#name(context, change.ref, change.ioas);
    if (change.kind === 'hwpt-allocated') this.#name(context, change.ref, change.hwpt.id);
    if (change.kind === 'hwpt-destroyed') this.#forget(context, change.hwpt);
    if (change.kind === 'ioas-destroyed') {
      const gone = before.containers.find(({ name }) => name === change.container);
      if (gone) this.#forget(context, gone.ioas);
    }
    this.#contexts.set(context, changed(before, change));
  }

  taint(device: DeviceKey, why: string | null): void {
    if (why === null) this.#tainted.delete(device);
    else this.#tainted.set(device, why);
  }

  tainted(): ReadonlyMap<DeviceKey, string> {
    return this.#tainted;
  }

  resolve(context: string, ref: ObjectRef): number | null {
    return idOf(ref) ?? this.#made.get(context)?.get(ref) ?? null;
  }

  #name(context: string, ref: ObjectRef, id: number): void {
    const names = this.#made.get(context) ?? new Map<ObjectRef, number>();
    names.set(ref, id);
    this.#made.set(context, names);
  }

  #forget(context: string, id: number): void {
    const names = this.#made.get(context);
    for (const [ref, named] of names ?? []) {
      if (named === id) names?.delete(ref);
    }
  }

  #rename(context: HeldContext, to: string): void {
    this.#contexts.delete(context.name);
    this.#contexts.set(to, { ...context, name: to });
    const names = this.#made.get(context.name);
    this.#made.delete(context.name);
    if (names) this.#made.set(to, names);
  }
}

function changed(context: HeldContext, change: ObjectChange): HeldContext {
  switch (change.kind) {
    case 'device-opened':
      return withDevice(context, { ...change, key: change.device, pt: null });
    case 'device-closed':
      return {
        ...context,
        devices: context.devices.filter((device) => device.key !== change.device),
      };
    case 'attached':
      return change.devices.reduce((now, key) => onPageTable(now, key, change.pt), context);
    case 'detached':
      return onPageTable(context, change.device, null);
    case 'ioas-allocated':
      return {
        ...context,
        containers: [
          ...context.containers,
          {
            name: change.container,
            ioas: change.ioas,
            allow: [],
            hugePages: true,
            deletion: change.deletion,
            hwpts: [],
          },
        ],
      };
    case 'ioas-destroyed':
      return {
        ...context,
        containers: context.containers.filter(({ name }) => name !== change.container),
      };
    case 'container-changed':
      return withContainer(context, change.container, (each) => ({ ...each, ...change.change }));
    case 'hwpt-allocated':
      return withContainer(context, change.container, (each) => ({
        ...each,
        hwpts: [...each.hwpts, change.hwpt],
      }));
    case 'hwpt-changed':
      return withHwpts(context, (hwpt) =>
        hwpt.id === change.hwpt
          ? [{ ...hwpt, dirtyTracking: change.active ? 'active' : 'capable' }]
          : [hwpt],
      );
    case 'hwpt-destroyed':
      return withHwpts(context, (hwpt) => (hwpt.id === change.hwpt ? [] : [hwpt]));
  }
}

/** Devices stay sorted, so that two ways to one state look the same. */
function withDevice(context: HeldContext, { key, fd, devId, pt }: HeldDevice): HeldContext {
  const others = context.devices.filter((device) => device.key !== key);
  const devices = [...others, { key, fd, devId, pt }];
  return { ...context, devices: devices.sort((a, b) => compareText(a.key, b.key)) };
}

function onPageTable(
  context: HeldContext,
  key: DeviceKey,
  pt: HwptId | IoasId | null,
): HeldContext {
  return {
    ...context,
    devices: context.devices.map((device) => (device.key === key ? { ...device, pt } : device)),
  };
}

function withContainer(
  context: HeldContext,
  name: string,
  change: (container: HeldContainer) => HeldContainer,
): HeldContext {
  return {
    ...context,
    containers: context.containers.map((each) => (each.name === name ? change(each) : each)),
  };
}

function withHwpts(
  context: HeldContext,
  change: (hwpt: HeldHwpt) => readonly HeldHwpt[],
): HeldContext {
  return {
    ...context,
    containers: context.containers.map((each) => ({ ...each, hwpts: each.hwpts.flatMap(change) })),
  };
}
