/**
 * A graph from its JSON document: the other half of `json.ts`, for whoever was told of a graph
 * instead of observing it. Not here: whether the shape is right in every field; the writer is trusted
 * for that, and a document that is something else altogether is refused.
 */
import type { DeviceKey } from '../../base/ids.ts';
import type { IovaRange } from '../../base/iova.ts';
import type { Json } from '../../base/json.ts';
import type {
  Attachment,
  Context,
  Device,
  Graph,
  Group,
  Holder,
  Hwpt,
  Iommu,
  LiveContainer,
  ObjectRef,
  ReservedRegion,
} from '../types.ts';

/** T as JSON carries it: 64-bit values are hex text, maps are lists. */
type Wire<T> = T extends bigint
  ? string
  : T extends ReadonlyMap<unknown, infer V>
    ? readonly Wire<V>[]
    : T extends string | number | boolean | null
      ? T
      : T extends readonly (infer E)[]
        ? readonly Wire<E>[]
        : { readonly [K in keyof T]: Wire<T[K]> };

type WireDevice = Omit<Wire<Device>, 'key'> & { readonly pci?: string; readonly mdev?: string };

interface WireContext {
  readonly name: string;
  readonly containers: readonly Wire<LiveContainer>[];
  readonly devices: readonly {
    readonly device: string;
    readonly container: string | null;
    readonly to: string | null;
  }[];
  readonly contradictions: readonly string[];
}

interface WireGraph {
  readonly formatVersion: string;
  readonly kind: string;
  readonly host: string;
  readonly bootId: string | null;
  readonly kernel: Graph['kernel'];
  readonly iommus: readonly Wire<Iommu>[];
  readonly groups: readonly Wire<Group & { readonly holders: readonly Holder[] }>[];
  readonly devices: readonly WireDevice[];
  readonly contexts: readonly WireContext[];
  readonly unreadable: Graph['unreadable'];
}

/** The graph that a document holds; null for a document that is no graph, or of another major version. */
export function graphFromJson(document: Json): Graph | null {
  const wire = document as unknown as WireGraph | null;
  if (wire?.kind !== 'Graph' || !/^1\./.test(wire.formatVersion)) return null;
  try {
    return {
      host: wire.host,
      bootId: wire.bootId,
      kernel: wire.kernel,
      iommus: new Map(wire.iommus.map((iommu) => [iommu.name, iommuOf(iommu)])),
      groups: new Map(
        wire.groups.map((group) => [
          group.id,
          { ...group, reserved: group.reserved.map((region) => rangeOf<ReservedRegion>(region)) },
        ]),
      ),
      devices: new Map(wire.devices.map(deviceOf).map((device) => [device.key, device])),
      contexts: new Map(wire.contexts.map((context) => [context.name, contextOf(context)])),
      unreadable: wire.unreadable,
      stuck: [],
    };
  } catch {
    // A list that is none, or text that is no number.
    return null;
  }
}

function iommuOf(wire: Wire<Iommu>): Iommu {
  return { ...wire, pageSizes: wire.pageSizes.map(BigInt) };
}

function rangeOf<R extends IovaRange>(wire: Wire<R>): R {
  const { start, last } = wire as unknown as Wire<IovaRange>;
  return { ...wire, start: BigInt(start), last: BigInt(last) } as unknown as R;
}

/** The context that the document notes beside a device is a conclusion; `contexts` says it too. */
function deviceOf(wire: WireDevice): Device {
  const { pci, mdev, context, ...facts } = wire as WireDevice & { readonly context?: unknown };
  const key: string | undefined = pci ?? mdev;
  if (key === undefined) throw new TypeError('a device has no name');
  return { ...facts, key } as unknown as Device;
}

function contextOf(wire: WireContext): Context {
  return {
    name: wire.name,
    containers: new Map(wire.containers.map((each) => [each.name, containerOf(each)])),
    devices: new Map(
      wire.devices.map(({ device, container, to }) => {
        const key = device as DeviceKey;
        const attachment: Attachment | null =
          container === null || to === null ? null : { container, pt: to as ObjectRef };
        return [key, { key, attachment }];
      }),
    ),
    contradictions: wire.contradictions,
  };
}

function containerOf(wire: Wire<LiveContainer>): LiveContainer {
  const hwpts = wire.hwpts as readonly Hwpt[];
  return {
    ...wire,
    allow: wire.allow.map((range) => rangeOf<IovaRange>(range)),
    hwpts: new Map(hwpts.map((hwpt) => [hwpt.ref, hwpt])),
  };
}
