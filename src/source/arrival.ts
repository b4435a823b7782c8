/**
 * How a new state of the files came: switched as a whole, or written bit by bit. It decides how long
 * the files must be quiet, and whether what is gone from them can be on its way back. Pure.
 */
import type { Source, SourceRoot } from './files.ts';

/** How a state came. */
export interface Arrival {
  /** Nobody was in the middle of writing it: what it leaves out is meant. */
  readonly isWhole: boolean;
  /** Times the quiet time that the files must stay the same. */
  readonly quiet: 0 | 1 | 4;
}

/** Judges a state by the one that was seen before it; null: it is the first. */
export function arrivalOf(before: Source | null, now: Source): Arrival {
  const changes = now.roots.map((root, index) => changeOf(before?.roots[index] ?? null, root));
  const changed = changes.filter((change) => change !== null);
  if (changed.length === 0) return { isWhole: isWholeAsItIs(now), quiet: 4 };
  return {
    isWhole: changed.every(({ isWhole }) => isWhole),
    quiet: changed.reduce<Arrival['quiet']>((most, { quiet }) => (quiet > most ? quiet : most), 0),
  };
}

/** Every path of it is whole, whatever it was before: its writer says so. */
export function isWholeAsItIs({ roots }: Source): boolean {
  return (
    roots.length > 0 &&
    roots.every(({ delivery }) => delivery === 'git' || delivery === 'ready-file')
  );
}

function changeOf(before: SourceRoot | null, now: SourceRoot): Arrival | null {
  if (before !== null && before.digest === now.digest && before.real === now.real) return null;
  const isSwitched = before === null ? now.delivery === 'link' : isLinkSwap(before, now);
  if (isSwitched) return { isWhole: true, quiet: 0 };
  switch (now.delivery) {
    case 'ready-file':
      return { isWhole: true, quiet: 0 };
    case 'git':
      return { isWhole: true, quiet: 1 };
    case 'file':
      return { isWhole: false, quiet: 1 };
    // Under a link that still leads to the same place, somebody edits what it leads to.
    case 'link':
    case 'directory':
      return { isWhole: false, quiet: 4 };
  }
}

function isLinkSwap(before: SourceRoot, now: SourceRoot): boolean {
  return now.isLinked && before.real !== null && now.real !== null && before.real !== now.real;
}
