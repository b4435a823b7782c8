/** The shape of a rule: one concern, the whole world in, what stands in the way out. */
import type { Blocker } from '../types.ts';
import type { World } from '../world.ts';

/** A pass over the world. Pure; the order of rules does not matter. */
export type Rule = (world: World) => readonly Blocker[];
