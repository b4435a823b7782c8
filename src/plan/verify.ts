/** Compares a graph with what a plan expects. It decides nothing: the expectations were fixed before the first step. */

import type { DeviceKey } from '../base/ids.ts';
import { sameRanges } from '../base/iova.ts';
import { type Holding, holdingsOf } from '../graph/query.ts';
import { formatRef } from '../graph/refs.ts';
import type { DirtyState, Graph } from '../graph/types.ts';
import type { Drift, Expectation } from './types.ts';

/** Every expectation that the graph does not meet. Empty: the host is as it should be. */
export function verify(expects: readonly Expectation[], graph: Graph): readonly Drift[] {
  const holdings = holdingsOf(graph);
  return expects.flatMap((expectation) =>
    missesOf(expectation, graph, holdings).map((text) => ({
      cell: expectation.cell,
      container: 'container' in expectation ? expectation.container : null,
      device: 'device' in expectation ? expectation.device : null,
      text,
    })),
  );
}

function missesOf(
  expectation: Expectation,
  graph: Graph,
  holdings: ReadonlyMap<DeviceKey, Holding>,
): readonly string[] {
  switch (expectation.kind) {
    case 'container':
      return containerMisses(expectation, graph);
    case 'container-gone': {
      const { container, context } = expectation;
      const lives = graph.contexts.get(context)?.containers.has(container) ?? false;
      return lives ? [`container ${container} is still there in context ${context}`] : [];
    }
    case 'context-gone':
      return graph.contexts.has(expectation.context)
        ? [`context ${expectation.context} is still held`]
        : [];
    case 'released':
      return holdings.has(expectation.device) ? [`${expectation.device} is still held`] : [];
    case 'attached':
      return attachmentMisses(expectation, graph, holdings);
  }
}

function containerMisses(
  expected: Extract<Expectation, { kind: 'container' }>,
  graph: Graph,
): readonly string[] {
  const context = graph.contexts.get(expected.context);
  const live = context?.containers.get(expected.container);
  if (!context || !live) return [`container ${expected.container} is not there`];
  const misses: string[] = [];
  if (!sameRanges(live.allow, expected.allow)) misses.push('its IOVA allow list differs');
  if (live.hugePages !== expected.hugePages) misses.push('its huge-page option differs');
  const used = new Set([...context.devices.values()].map((device) => device.attachment?.pt));
  for (const hwpt of live.hwpts.keys()) {
    if (!used.has(hwpt)) misses.push(`${formatRef('HWPT', hwpt)} has no device`);
  }
  return misses;
}

function attachmentMisses(
  expected: Extract<Expectation, { kind: 'attached' }>,
  graph: Graph,
  holdings: ReadonlyMap<DeviceKey, Holding>,
): readonly string[] {
  const { device, container } = expected;
  const holding = holdings.get(device);
  const attachment = holding?.device.attachment;
  if (!holding || !attachment || attachment.container !== container) {
    return [`${device} is not attached in ${container}`];
  }
  if (holding.context !== expected.context) {
    return [`${device} is in context ${holding.context}, not in ${expected.context}`];
  }
  if (expected.hwpt === null) return [];
  const live = graph.contexts.get(holding.context)?.containers.get(container);
  const hwpt = live?.hwpts.get(attachment.pt);
  if (!hwpt) return [`${device} is on ${formatRef('HWPT', attachment.pt)}, which is not there`];
  const misses: string[] = [];
  if (!isTrackingAsExpected(expected.hwpt.dirtyTracking, hwpt.dirtyTracking)) {
    misses.push(
      `${formatRef('HWPT', hwpt.ref)} of ${device}: dirty tracking is ${hwpt.dirtyTracking}, expected ${expected.hwpt.dirtyTracking}`,
    );
  }
  if (expected.hwpt.nesting && !hwpt.nesting) {
    misses.push(`${formatRef('HWPT', hwpt.ref)} of ${device} is no nesting parent`);
  }
  return misses;
}

/** More than needed is fine, but for tracking that runs although nobody wants it. */
function isTrackingAsExpected(expected: DirtyState, found: DirtyState): boolean {
  return expected === 'none' ? found !== 'active' : found === expected;
}
