/** A graph as an indented text: contexts, containers, page tables, devices; then what is free, and what could not be read. */
import { formatRange } from '../../base/iova.ts';
import { formatRef } from '../refs.ts';
import type { Context, Device, Graph, Hwpt, LiveContainer, ObjectRef } from '../types.ts';

/** The graph as lines, without a newline at the end. */
export function formatGraph(graph: Graph): string {
  const lines = [`host ${graph.host}, kernel ${graph.kernel.release}`];
  for (const context of graph.contexts.values()) lines.push(...contextLines(graph, context));
  if (graph.contexts.size === 0) lines.push('nothing is held');
  lines.push(...freeLines(graph));
  if (graph.unreadable.length > 0) {
    lines.push('unreadable');
    lines.push(...graph.unreadable.map(({ what, errno }) => `  ${what}: ${errno}`));
  }
  return lines.join('\n');
}

function contextLines(graph: Graph, context: Context): readonly string[] {
  const lines = [`context ${context.name}`];
  lines.push(...context.contradictions.map((what) => `  contradiction: ${what}`));
  for (const container of context.containers.values()) {
    lines.push(...containerLines(graph, context, container));
  }
  for (const { key, attachment } of context.devices.values()) {
    if (attachment === null) lines.push(`  bound, not attached: ${deviceText(graph, key)}`);
  }
  return lines;
}

function containerLines(
  graph: Graph,
  context: Context,
  container: LiveContainer,
): readonly string[] {
  const options = [
    ...container.allow.map((range) => `keeps ${formatRange(range)}`),
    ...(container.hugePages ? [] : ['4 KiB pages only']),
  ];
  const lines = [`  container ${container.name}`];
  lines.push(`    ${[formatRef('IOAS', container.ioas), ...options].join(', ')}`);
  lines.push(...deviceLines(graph, context, container.ioas));
  for (const hwpt of container.hwpts.values()) {
    lines.push(`    ${hwptText(hwpt)}`);
    lines.push(...deviceLines(graph, context, hwpt.ref));
  }
  return lines;
}

function hwptText(hwpt: Hwpt): string {
  const tracking = {
    none: 'no dirty tracking',
    capable: 'can track dirty pages',
    active: 'tracks dirty pages',
  }[hwpt.dirtyTracking];
  const words = [
    formatRef('HWPT', hwpt.ref),
    tracking,
    ...(hwpt.nesting ? ['nesting parent'] : []),
    ...(hwpt.iommu === null ? [] : [`made for ${hwpt.iommu}`]),
  ];
  return words.join(', ');
}

function deviceLines(graph: Graph, context: Context, pt: ObjectRef): readonly string[] {
  return [...context.devices.values()]
    .filter((device) => device.attachment?.pt === pt)
    .map(({ key }) => `      ${deviceText(graph, key)}`);
}

function deviceText(graph: Graph, key: Device['key']): string {
  const device = graph.devices.get(key);
  return device === undefined ? `${key}, gone` : [key, ...factsOf(device)].join(', ');
}

function factsOf(device: Device): readonly string[] {
  if (device.kind === 'mdev') return [`mdev ${device.type} of ${device.parent}`];
  return [
    `${device.vendor}:${device.device}`,
    device.group === null ? 'no IOMMU' : `group ${device.group}`,
    ...(device.iommu === null ? [] : [device.iommu]),
    ...(device.vf === null ? [] : [`VF ${device.vf.index} of ${device.vf.pf}`]),
    device.driver ?? 'no driver',
    ...device.holders.map(({ comm, pid }) => `held by ${comm} (pid ${pid})`),
  ];
}

/** Devices that we do not hold and that a container could have, or that somebody else holds. */
function freeLines(graph: Graph): readonly string[] {
  const held = new Set([...graph.contexts.values()].flatMap((each) => [...each.devices.keys()]));
  const free = [...graph.devices.values()].filter((device) => {
    if (held.has(device.key)) return false;
    return device.cdev !== null || (device.kind === 'pci' && isIdle(device));
  });
  if (free.length === 0) return [];
  return ['not in a container', ...free.map((device) => `  ${deviceText(graph, device.key)}`)];
}

function isIdle(device: Extract<Device, { kind: 'pci' }>): boolean {
  return device.driver === null && device.group !== null && !device.bridge;
}
