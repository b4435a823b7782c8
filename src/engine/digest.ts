/** Names for states: the same digest means the same config, graph or steps. */
import { createHash } from 'node:crypto';
import { canonicalJson, type Json } from '../base/json.ts';
import { graphToJson } from '../graph/format/json.ts';
import type { Graph } from '../graph/types.ts';

/** The digest of a graph: everything but fds and times. */
export function graphDigest(graph: Graph): string {
  return digestOf(graphToJson(graph));
}

/** sha256 of a JSON value, as `sha256:<hex>`. */
export function digestOf(value: Json): string {
  return `sha256:${createHash('sha256').update(canonicalJson(value)).digest('hex')}`;
}
