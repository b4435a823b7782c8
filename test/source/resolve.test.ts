/** The way to a config: each place where it could be led elsewhere. */
import { symlinkSync } from 'node:fs';
import { expect, it } from 'vitest';
import { commitInTargets, resolvePath } from '../../src/source/resolve.ts';
import { Place } from './followed.ts';

/** The places below the test's directory, as `directory/name`. */
function ways(place: Place, path: string): readonly string[] {
  return resolvePath(place.path(path))
    .steps.filter(({ directory }) => `${directory}/`.startsWith(`${place.dir}/`))
    .map(({ directory, name }) => `${directory}/${name}`.slice(place.dir.length + 1));
}

it('goes through every link and every directory of its target', async () => {
  await using place = new Place();
  place.write('real/deep/c/a.yaml', 'x');
  symlinkSync('real/deep', place.path('one'));
  symlinkSync(place.path('one'), place.path('two'));
  const resolved = resolvePath(place.path('two/c/a.yaml'));
  expect(resolved.real).toBe(place.path('real/deep/c/a.yaml'));
  expect(resolved.targets).toEqual([place.path('one'), 'real/deep']);
  expect(ways(place, 'two/c/a.yaml')).toEqual([
    'two',
    'one',
    'real',
    'real/deep',
    'real/deep/c',
    'real/deep/c/a.yaml',
  ]);
});

it('ends at what is missing, which can be waited for there', async () => {
  await using place = new Place();
  place.write('p/a.yaml', 'x');
  expect(resolvePath(place.path('p/q/c')).real).toBeNull();
  expect(ways(place, 'p/q/c')).toEqual(['p', 'p/q']);
  symlinkSync('nowhere/c', place.path('dangling'));
  expect(ways(place, 'dangling')).toEqual(['dangling', 'nowhere']);
});

it('gives up on links that go round in a circle, as the kernel does', async () => {
  await using place = new Place();
  symlinkSync('b', place.path('a'));
  symlinkSync('a', place.path('b'));
  expect(resolvePath(place.path('a')).error).toMatchObject({ code: 'ELOOP' });
});

it('follows `..` in a target from where the link is, not from where the path was', async () => {
  await using place = new Place();
  place.write('x/y/keep', '');
  place.write('x/c/a.yaml', 'x');
  symlinkSync('x/y', place.path('short'));
  symlinkSync('../c', place.path('x/y/up'));
  expect(resolvePath(place.path('short/up')).real).toBe(place.path('x/c'));
});

it("takes the commit from git-sync's link, and only from a whole name", async () => {
  await using place = new Place();
  const commit = 'c0ffee15'.repeat(5);
  place.write(`.worktrees/${commit}/config/a.yaml`, 'x');
  symlinkSync(`.worktrees/${commit}`, place.path('current'));
  expect(commitInTargets(resolvePath(place.path('current/config')))).toBe(commit);
  place.write('.worktrees/c0ffee/a.yaml', 'x');
  symlinkSync('.worktrees/c0ffee', place.path('short'));
  expect(commitInTargets(resolvePath(place.path('short')))).toBeNull();
});
