/** Whether files are what git's index says, against the real git and what it can write. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readSource } from '../../src/source/files.ts';

let dir = '';

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'autodomain-index-'));
});

afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

function git(...args: readonly string[]): void {
  const who = ['-c', 'user.name=a', '-c', 'user.email=a@example.org'];
  execFileSync('git', ['-C', dir, ...who, ...args]);
}

/** A work tree with what a config has and what it has not. */
function commit(...init: readonly string[]): void {
  git('init', '-q', ...init);
  mkdirSync(join(dir, 'c/.hidden'), { recursive: true });
  for (const name of ['c/a.yaml', 'c/ä.yml', 'c/.hidden/b.yaml', 'c/notes.txt', 'other.yaml']) {
    writeFileSync(join(dir, name), name);
  }
  git('add', '.');
  git('commit', '-qm', 'x');
}

function delivery(path = 'c'): string | undefined {
  return readSource([join(dir, path)]).roots[0]?.delivery;
}

describe('a work tree that git wrote', () => {
  it.each<[string, readonly string[], () => void]>([
    ['with an index of version 2', [], () => undefined],
    ['of version 3', [], () => git('update-index', '--skip-worktree', 'c/notes.txt')],
    ['of version 4', [], () => git('update-index', '--index-version', '4')],
    ['with SHA-256 names', ['--object-format=sha256'], () => undefined],
    ['with files elsewhere that differ', [], () => writeFileSync(join(dir, 'other.yaml'), 'new')],
    ['with files that are no config', [], () => writeFileSync(join(dir, 'c/new.txt'), 'new')],
  ])('is whole: %s', (_what, init, change) => {
    commit(...init);
    change();
    expect(delivery()).toBe('git');
    expect(delivery('c/a.yaml')).toBe('git');
  });

  it.each<[string, () => void]>([
    ['a file was edited', () => writeFileSync(join(dir, 'c/a.yaml'), 'edited')],
    ['a file is missing', () => unlinkSync(join(dir, 'c/a.yaml'))],
    ['a file is new', () => writeFileSync(join(dir, 'c/z.yaml'), 'new')],
    [
      'a link is tracked',
      () => {
        symlinkSync('a.yaml', join(dir, 'c/l.yaml'));
        git('add', '.');
      },
    ],
    ['the index is split', () => git('update-index', '--split-index')],
    ['the index is damaged', () => writeFileSync(join(dir, '.git/index'), 'DIRC')],
    ['the index is gone', () => unlinkSync(join(dir, '.git/index'))],
  ])('cannot be said to be whole: %s', (_what, change) => {
    commit();
    change();
    expect(delivery()).toBe('directory');
  });

  it('is whole again after a person has staged what he did', () => {
    commit();
    unlinkSync(join(dir, 'c/a.yaml'));
    expect(delivery()).toBe('directory');
    git('add', '-A');
    expect(delivery()).toBe('git');
  });

  it('is not whole in the middle of a merge', () => {
    commit();
    git('checkout', '-qb', 'side');
    writeFileSync(join(dir, 'c/a.yaml'), 'side');
    git('commit', '-qam', 'side');
    git('checkout', '-q', '-');
    writeFileSync(join(dir, 'c/a.yaml'), 'main');
    git('commit', '-qam', 'main');
    expect(() => git('merge', '-q', 'side')).toThrow('merge');
    expect(delivery()).toBe('directory');
  });
});
