/** Small pieces of English that plans, blockers and reports share. */
import type { Holder, StuckCall } from '../graph/types.ts';
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

/** A call that does not return, with its action: `close 0000:3b:00.0 ...: close has not returned for 2 min`. */
export function formatStuckCall(stuck: StuckCall): string {
  return `${stuck.action}: ${formatLate(stuck)}`;
}

/** The same without the action. */
export function formatLate({ call, ageMs }: StuckCall): string {
  return `${call} has not returned for ${formatAge(ageMs)}`;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** A length of time in the largest unit of which it has two: `70 s`, `5 min`, `2 h`. */
export function formatAge(ms: number): string {
  if (ms < 2 * MINUTE_MS) return `${Math.floor(ms / 1000)} s`;
  if (ms < 2 * HOUR_MS) return `${Math.floor(ms / MINUTE_MS)} min`;
  return `${Math.floor(ms / HOUR_MS)} h`;
}
