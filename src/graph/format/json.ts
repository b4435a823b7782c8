/** A graph as a JSON document. Its shape is schema/graph.v1.json. */
import { type Json, toJson } from '../../base/json.ts';
import { holdingsOf } from '../query.ts';
import type { Context, Device, Graph } from '../types.ts';

/** The graph as a document; fds and times are not in it, so that equal states have equal digests. */
export function graphToJson(graph: Graph): { readonly [key: string]: Json } {
  const holdings = holdingsOf(graph);
  const devices = [...graph.devices.values()].map((device): unknown => {
    const holding = holdings.get(device.key);
    const { key, ...facts } = device;
    return { ...nameOf(device), ...facts, context: holding?.context ?? null };
  });
  return {
    formatVersion: '1.0',
    kind: 'Graph',
    host: graph.host,
    bootId: graph.bootId,
    kernel: toJson(graph.kernel),
    iommus: toJson(graph.iommus),
    groups: toJson(graph.groups),
    devices: toJson(devices),
    tainted: [...graph.tainted].map(([key, why]) => ({ device: key, why })),
    contexts: [...graph.contexts.values()].map(contextToJson),
    unreadable: toJson(graph.unreadable),
  };
}

/** A device as every document names it: `{ pci }` or `{ mdev }`. */
export function nameOf(device: Pick<Device, 'kind' | 'key'>): { pci: string } | { mdev: string } {
  return device.kind === 'pci' ? { pci: device.key } : { mdev: device.key };
}

function contextToJson(context: Context): Json {
  return {
    name: context.name,
    containers: [...context.containers.values()].map((container) => ({
      ...(toJson(container) as { readonly [key: string]: Json }),
      hwpts: toJson(container.hwpts),
    })),
    devices: [...context.devices.values()].map(({ key, attachment }) => ({
      device: key,
      container: attachment?.container ?? null,
      to: attachment?.pt ?? null,
    })),
    contradictions: toJson(context.contradictions),
    consumers: toJson(context.consumers),
  };
}
