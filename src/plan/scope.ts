/**
 * What a plan is about: which containers this host shall have, which it has and shall not, and
 * which only changed their name. Not here: devices.
 */
import { compareText } from '../base/ids.ts';
import { contextOfContainer } from '../graph/query.ts';
import type { Context, Graph, LiveContainer } from '../graph/types.ts';
import type { Config, ContainerSpec } from '../spec/config.ts';
import { containersFor } from '../spec/hosts.ts';
import type { ActionOf } from '../steps/def.ts';
import { predictAll } from '../steps/index.ts';
import type { Blocker } from './types.ts';

/** A live container that shall not stay where it is. */
export interface Removal {
  readonly container: LiveContainer;
  readonly context: string;
  /** `absent`: the config says so. `vanished`: the config no longer names it. `moved`: it goes to another context. */
  readonly why: 'absent' | 'vanished' | 'moved';
}

/** The outcome of comparing names. */
export interface Scope {
  /** The graph with the renames applied: everything after works on it. */
  readonly graph: Graph;
  readonly renames: readonly ActionOf<'rename-container'>[];
  readonly wanted: readonly ContainerSpec[];
  /** Containers that the config wants absent, by name. */
  readonly absent: ReadonlyMap<string, ContainerSpec>;
  readonly removals: readonly Removal[];
  readonly blocked: readonly Blocker[];
}

/** Compares the names in the config with the names that live. */
export function scopeOf(config: Config, live: Graph): Scope {
  const here = containersFor(config, live.host);
  const wanted = here.filter((spec) => spec.state === 'present');
  const absent = new Map(
    here.filter((spec) => spec.state === 'absent').map((spec) => [spec.name, spec]),
  );
  const blocked: Blocker[] = [];
  const renames: ActionOf<'rename-container'>[] = [];
  for (const spec of wanted) {
    for (const from of spec.formerly) {
      const context = contextOfContainer(live, from);
      if (context === null || isNamed(here, from)) continue;
      if (renames.some((rename) => rename.args.to === spec.name) || isLive(live, spec.name)) {
        blocked.push({ kind: 'rename-onto-living', container: spec.name, from });
      } else {
        const taken = renames.map(({ args }) => args.toContext);
        renames.push(renameOf(context, from, spec, new Set([...live.contexts.keys(), ...taken])));
      }
    }
  }
  const graph = predictAll(live, renames);
  return { graph, renames, wanted, absent, removals: removalsOf(graph, wanted, absent), blocked };
}

function isNamed(specs: readonly ContainerSpec[], name: string): boolean {
  return specs.some((spec) => spec.name === name);
}

function isLive(graph: Graph, name: string): boolean {
  return contextOfContainer(graph, name) !== null;
}

/** A context that belongs to the container alone takes the new name along, if that name is free. */
function renameOf(
  context: Context,
  from: string,
  spec: ContainerSpec,
  taken: ReadonlySet<string>,
): ActionOf<'rename-container'> {
  const own = context.name === from && context.containers.size === 1;
  const toContext = own && !taken.has(spec.context) ? spec.context : context.name;
  return {
    kind: 'rename-container',
    args: { context: context.name, from, to: spec.name, toContext },
  };
}

function removalsOf(
  graph: Graph,
  wanted: readonly ContainerSpec[],
  absent: ReadonlyMap<string, ContainerSpec>,
): readonly Removal[] {
  const home = new Map(wanted.map((spec) => [spec.name, spec.context]));
  const removals: Removal[] = [];
  for (const context of graph.contexts.values()) {
    for (const container of context.containers.values()) {
      const { name } = container;
      if (home.get(name) === context.name) continue;
      let why: Removal['why'] = 'vanished';
      if (home.has(name)) why = 'moved';
      else if (absent.has(name)) why = 'absent';
      removals.push({ container, context: context.name, why });
    }
  }
  return removals.sort((a, b) => compareText(a.container.name, b.container.name));
}
