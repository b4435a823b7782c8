/** Whether others could decide what a config is, place by place. */
import { chmodSync, lstatSync, mkdirSync, symlinkSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readSource } from '../../src/source/files.ts';
import { reasonOf } from '../../src/source/private.ts';
import { container, Place } from './followed.ts';

/** A config in a place that is ours, read with the question who else can write there. */
async function refusals(change: (place: Place) => void, path = 'p/c'): Promise<readonly string[]> {
  await using place = new Place();
  place.write('p/c/sub/a.yaml', container('a', 'r0'));
  for (const each of ['p', 'p/c', 'p/c/sub']) chmodSync(place.path(each), 0o755);
  chmodSync(place.path('p/c/sub/a.yaml'), 0o644);
  change(place);
  const { issues } = readSource([place.path(path)], { requirePrivate: true });
  expect(issues.every(({ rule }) => rule === 'AD1013')).toBe(true);
  return issues.map(({ file, message }) => `${file.slice(place.dir.length + 1)}: ${message}`);
}

const WHY = 'others can decide what the config is';

describe('a config that is ours alone', () => {
  it('is taken', async () => {
    expect(await refusals(() => undefined)).toEqual([]);
  });

  it('may be below a directory like /tmp, where nobody can move what is not his', async () => {
    expect(await refusals((place) => chmodSync(place.path('p'), 0o1777))).toEqual([]);
  });
});

describe('a config that others can change', () => {
  it.each([
    ['the file', 'p/c/sub/a.yaml', 0o666, '0666'],
    ['the file, by its group', 'p/c/sub/a.yaml', 0o664, '0664'],
    ['its directory', 'p/c/sub', 0o775, '0775'],
    ['the directory that is given', 'p/c', 0o757, '0757'],
    ['a parent that could rename it', 'p', 0o777, '0777'],
    // Anybody can add a file there.
    ['its directory, though it is sticky', 'p/c', 0o1777, '1777'],
  ])('is refused: %s', async (_what, path, mode, shown) => {
    expect(await refusals((place) => chmodSync(place.path(path), mode))).toEqual([
      `${path}: ${WHY}: its mode is ${shown}`,
    ]);
  });

  it('is refused where a link leads over a directory of others', async () => {
    const link = (place: Place): void => {
      mkdirSync(place.path('open'));
      chmodSync(place.path('open'), 0o777);
      symlinkSync('../p/c', place.path('open/link'));
    };
    expect(await refusals(link, 'open/link')).toEqual([`open: ${WHY}: its mode is 0777`]);
  });

  it('is refused where somebody else owns it, whatever the mode', async () => {
    await using place = new Place();
    place.write('c', '');
    const own = lstatSync(place.path('c'));
    expect(reasonOf(own, 'config')).toBeNull();
    const stat = Object.assign(own, { uid: 12345, mode: 0o100600 });
    expect(reasonOf(stat, 'config')).toBe('user 12345 owns this');
    expect(reasonOf(stat, 'way')).toBe('user 12345 owns this');
  });

  it('is taken where nobody asks', async () => {
    await using place = new Place();
    place.write('c/a.yaml', container('a', 'r0'));
    chmodSync(place.path('c'), 0o777);
    expect(readSource([place.path('c')]).issues).toEqual([]);
  });
});
