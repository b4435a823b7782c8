/** Which files are a config, and what a path that cannot be read does. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readSource } from '../../src/source/files.ts';

let dir = '';

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'autodomain-source-'));
});

afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

function write(name: string, text = 'x'): void {
  writeFileSync(join(dir, name), text);
}

function names(): readonly string[] {
  return readSource([dir]).files.map(({ path }) => path.slice(dir.length + 1));
}

function rules(path = dir): readonly string[] {
  return readSource([path]).issues.map(({ rule }) => rule);
}

describe('readSource', () => {
  it('takes yaml and yml below the directory, and leaves hidden files and leavings of editors out', () => {
    mkdirSync(join(dir, 'sub'));
    mkdirSync(join(dir, '.git'));
    for (const name of [
      'a.yaml',
      'b.yml',
      'sub/c.yaml',
      '.d.yaml',
      '.git/e.yaml',
      'f.yaml~',
      '#g.yaml#',
      'h.txt',
    ])
      write(name);
    expect(names()).toEqual(['a.yaml', 'b.yml', 'sub/c.yaml']);
  });

  it("reads through kubelet's ..data", () => {
    mkdirSync(join(dir, '..2026_01'));
    write('..2026_01/a.yaml', 'new');
    symlinkSync('..2026_01', join(dir, '..data'));
    symlinkSync('..data/a.yaml', join(dir, 'a.yaml'));
    expect(names()).toEqual(['a.yaml']);
  });

  it('has one digest for the same files, and another for other names or contents', () => {
    write('a.yaml', '1');
    const first = readSource([dir]).digest;
    expect(readSource([dir]).digest).toBe(first);
    write('a.yaml', '2');
    const second = readSource([dir]).digest;
    expect(second).not.toBe(first);
    write('b.yaml', '');
    expect(readSource([dir]).digest).not.toBe(second);
  });

  it('never takes a path that cannot be read for an empty one', () => {
    expect(rules(join(dir, 'gone'))).toEqual(['AD1001']);
    symlinkSync('nowhere', join(dir, 'a.yaml'));
    expect(rules()).toEqual(['AD1001']);
  });

  it('refuses a link that leads out of the tree, a pipe and a file that is too large', () => {
    symlinkSync('/etc/hostname', join(dir, 'out.yaml'));
    execFileSync('mkfifo', [join(dir, 'pipe.yaml')]);
    write('large.yaml', 'x'.repeat((1 << 20) + 1));
    expect([...rules()].sort()).toEqual(['AD1004', 'AD1005', 'AD1005']);
  });

  it('survives links that go round in a circle, and a directory that is a file', () => {
    symlinkSync(dir, join(dir, 'loop'));
    symlinkSync('self.yaml', join(dir, 'self.yaml'));
    expect(rules()).toEqual(['AD1001']);
    write('f', 'a');
    expect(rules(join(dir, 'f', 'below'))).toEqual(['AD1001']);
  });

  it("reads the commit of a work tree from git's own files", () => {
    const git = (...args: string[]): string =>
      execFileSync('git', ['-C', dir, '-c', 'user.name=a', '-c', 'user.email=a@b', ...args], {
        encoding: 'utf8',
      });
    git('init', '-q');
    write('a.yaml');
    git('add', '.');
    git('commit', '-qm', 'x');
    expect(readSource([dir]).revision).toBe(git('rev-parse', 'HEAD').trim());
    git('pack-refs', '--all');
    expect(readSource([dir]).revision).toBe(git('rev-parse', 'HEAD').trim());
  });

  it('reports a directory without the right to read it', () => {
    mkdirSync(join(dir, 'closed'));
    chmodSync(join(dir, 'closed'), 0);
    const expected = process.getuid?.() === 0 ? [] : ['AD1001'];
    expect(rules()).toEqual(expected);
    chmodSync(join(dir, 'closed'), 0o700);
  });
});
