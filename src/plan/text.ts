/** Small pieces of English that plans, blockers and reports share. */
import type { Holder } from '../graph/types.ts';
import type { Place } from '../spec/config.ts';

/** The place as editors and grep take it: `file:line:column`. */
export function formatPlace(place: Place): string {
  return `${place.file}:${place.line}:${place.column}`;
}

/** The holders as `comm (pid 812, uid 107)`; a process that could not be seen is `an unknown process`. */
export function formatHolders(holders: readonly Holder[]): string {
  if (holders.length === 0) return 'an unknown process';
  return holders
    .map(({ pid, comm, uid }) =>
      pid === 0
        ? `a process (${comm})`
        : `${comm} (pid ${pid}${uid === null ? '' : `, uid ${uid}`})`,
    )
    .join(', ');
}

/** The number with its noun, in the plural where the number asks for it. */
export function countOf(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** The words as a list: `a, b and c`. */
export function listOf(words: readonly string[]): string {
  if (words.length <= 1) return words.join('');
  return `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}
