/**
 * Who else could change what a path stands for: a daemon that runs as root must not take its config
 * from whoever may write there.
 */
import type { Stats } from 'node:fs';
import { join } from 'node:path';
import type { SpecIssue } from '../spec/issues.ts';
import { pathIssue } from './issues.ts';
import { type Resolved, statOrNull } from './resolve.ts';
import type { Scan } from './scan.ts';

const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;

/** AD1013 for every directory on the way, and every directory and file of the config, that others can write to or own. */
export function privacyIssues({ steps }: Resolved, found: Scan): readonly SpecIssue[] {
  const inside = [...found.directories, ...found.files.map(({ real }) => ({ path: real }))];
  const places = new Map<string, 'way' | 'config'>([['/', 'way']]);
  for (const { directory, name } of steps) {
    places.set(directory, 'way');
    places.set(join(directory, name), 'way');
  }
  for (const { path } of inside) places.set(path, 'config');
  return [...places].flatMap(([path, part]) => {
    const stat = statOrNull(path);
    const reason = stat === null ? null : reasonOf(stat, part);
    if (reason === null) return [];
    return [
      pathIssue(path, 'AD1013', {
        message: `others can decide what the config is: ${reason}`,
        remedy: `\`chown root '${path}'\` and \`chmod go-w '${path}'\`, or move the config`,
      }),
    ];
  });
}

/** Why others can change what is there; null where only root and this user can. */
export function reasonOf(stat: Stats, part: 'way' | 'config'): string | null {
  if (stat.uid !== 0 && stat.uid !== process.getuid?.()) return `user ${stat.uid} owns this`;
  // A link's mode means nothing; who may replace it is a matter of its directory.
  if (stat.isSymbolicLink()) return null;
  // On the way a sticky directory is safe, because nobody can move what is not his; but anybody can add a file to it.
  const isSafe = part === 'way' && stat.isDirectory() && (stat.mode & STICKY) !== 0;
  if ((stat.mode & OTHERS_WRITE) === 0 || isSafe) return null;
  return `its mode is ${(stat.mode & 0o7777).toString(8).padStart(4, '0')}`;
}
