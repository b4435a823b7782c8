/**
 * Steps with what they need and what they give, as words. The words become the `after` of each
 * step, so that a rule says why an order matters and not where its step stands.
 */
import { assert, present } from '../base/assert.ts';
import type { Action, Step } from '../steps/def.ts';

/** A condition that a step makes true or waits for, such as `ioas tenant-blue/spdk-blue`. */
export type Token = string;

/** What an emitter says about an action. */
export interface Emission {
  readonly action: Action;
  readonly cell: string;
  readonly container: string | null;
  readonly why: string;
  readonly lane: string;
  /** A word that no step gives is true already. One that several give is true after the last. */
  readonly needs: readonly Token[];
  readonly gives: readonly Token[];
  /** It lets go of a device that is being removed from the host. */
  readonly isRemoval?: boolean;
}

/** Orders emissions so that every word is given before it is needed, else as they were emitted. */
export function orderSteps(emissions: readonly Emission[]): readonly Step[] {
  const givers = new Map<Token, number[]>();
  emissions.forEach((emission, index) => {
    for (const token of emission.gives) {
      const list = givers.get(token);
      if (list) list.push(index);
      else givers.set(token, [index]);
    }
  });
  const before = emissions.map((emission, index) => beforeOf(emission, index, givers));
  const order = sortTopologically(before);
  const ids = new Map(order.map((index, position) => [index, `s${position + 1}`]));
  return order.map((index) => {
    const emission = present(emissions[index], 'emission');
    const { action, cell, container, why, lane } = emission;
    const removal = emission.isRemoval === true ? { isRemoval: true as const } : {};
    const after = (before[index] ?? [])
      .slice()
      .sort((a, b) => a - b)
      .map((each) => present(ids.get(each), 'id of a step'));
    const id = present(ids.get(index), 'id');
    return { ...action, id, cell, container, why, lane, after, ...removal };
  });
}

function beforeOf(
  emission: Emission,
  index: number,
  givers: ReadonlyMap<Token, readonly number[]>,
): readonly number[] {
  const before = new Set<number>();
  for (const token of emission.needs) {
    for (const giver of givers.get(token) ?? []) {
      if (giver !== index) before.add(giver);
    }
  }
  return [...before];
}

function sortTopologically(before: readonly (readonly number[])[]): readonly number[] {
  const order: number[] = [];
  const state = new Map<number, 'open' | 'done'>();
  const visit = (index: number): void => {
    if (state.get(index) === 'done') return;
    assert(state.get(index) !== 'open', 'steps do not wait for each other in a circle');
    state.set(index, 'open');
    for (const each of before[index] ?? []) visit(each);
    state.set(index, 'done');
    order.push(index);
  };
  before.forEach((_, index) => {
    visit(index);
  });
  return order;
}
