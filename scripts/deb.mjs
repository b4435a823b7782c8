// The Debian package: dist, the dependencies that it runs with, and packaging/, put together by
// dpkg-deb. `npm run deb [DIRECTORY]` builds it into dist/deb or there. Nothing is fetched. Needs dist.
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { manPages } from './man.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const about = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const LIB = 'usr/lib/autodomain';
const DOC = 'usr/share/doc/autodomain';

/** What runs, below LIB. */
const PROGRAM = ['bin', 'dist', 'schema', 'package.json'];
/** What koffi needs only where it is compiled: its binary is a package of its own. */
const SOURCES = /\/node_modules\/koffi\/((vendor|doc|lib)(\/|$)|.*\.(cc|hh|h|inc|S|asm|txt)$)/;

/** What this script and its like leave in dist. */
const MADE = /^dist\/(man|deb)(\/|$)/;

const FILES = [
  ['packaging/autodomain.service', 'usr/lib/systemd/system/autodomain.service'],
  ['packaging/autodomain.sysusers', 'usr/lib/sysusers.d/autodomain.conf'],
  ['packaging/autodomain.tmpfiles', 'usr/lib/tmpfiles.d/autodomain.conf'],
  ['packaging/autodomain.yaml', 'etc/autodomain/autodomain.yaml'],
  ['docs', `${DOC}/docs`],
  ['examples', `${DOC}/examples`],
  ['README.md', `${DOC}/README.md`],
  ['LICENSE', `${DOC}/copyright`],
];

const CONFFILES = ['/etc/autodomain/autodomain.yaml'];
const SCRIPTS = ['postinst', 'prerm', 'postrm'];

const out = resolve(process.argv[2] ?? join(root, 'dist/deb'));
const tree = mkdtempSync(join(tmpdir(), 'autodomain-deb-'));
try {
  fill();
  for (const [name, text] of Object.entries(await manPages())) writePage(name, text);
  control();
  console.log(pack());
} finally {
  rmSync(tree, { recursive: true, force: true });
}

function fill() {
  for (const path of [...PROGRAM, ...modules()]) {
    copy(join(root, path), join(tree, LIB, path));
  }
  for (const [from, to] of FILES) copy(join(root, from), join(tree, to));
  mkdirSync(join(tree, 'etc/autodomain.d'), { recursive: true });
  mkdirSync(join(tree, 'usr/bin'), { recursive: true });
  symlinkSync('../lib/autodomain/bin/autodomain.cjs', join(tree, 'usr/bin/autodomain'));
}

/** The packages that a production install has, as npm sees what is installed. */
function modules() {
  const args = ['ls', '--omit=dev', '--all', '--parseable', '--offline'];
  const listed = execFileSync('npm', args, { cwd: root, encoding: 'utf8' });
  const here = resolve(root);
  return listed
    .split('\n')
    .filter((path) => path !== '' && path !== here)
    .map((path) => relative(here, path));
}

/** Each package is listed on its own, so none is copied as a part of another. */
function copy(from, to) {
  cpSync(from, to, {
    recursive: true,
    filter: (path) =>
      !path.slice(from.length).includes('/node_modules') &&
      !MADE.test(path.slice(root.length)) &&
      !SOURCES.test(path) &&
      !/\.(map|d\.ts|tsbuildinfo)$/.test(path),
  });
}

function writePage(name, text) {
  const path = join(tree, `usr/share/man/man${name.at(-1)}/${name}.gz`);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, gzipSync(text, { level: 9 }));
}

function control() {
  const directory = join(tree, 'DEBIAN');
  mkdirSync(directory);
  for (const name of SCRIPTS) {
    cpSync(join(root, 'packaging/deb', name), join(directory, name));
    execFileSync('chmod', ['0755', join(directory, name)]);
  }
  writeFileSync(join(directory, 'conffiles'), `${CONFFILES.join('\n')}\n`);
  const fields = {
    Package: about.name,
    Version: debianVersion(about.version),
    Architecture: architecture(),
    Maintainer: 'The autodomain authors <autodomain@localhost>',
    'Installed-Size': sizeKiB(),
    Depends: [
      `nodejs (>= ${about.engines.node.replace('>=', '')})`,
      'libc6 (>= 2.28)',
      'libstdc++6',
      'systemd (>= 252)',
      'init-system-helpers (>= 1.54)',
    ].join(', '),
    Section: 'admin',
    Priority: 'optional',
    Description: `${about.description}\n The daemon, its unit and its manual pages. See autodomain(1).`,
  };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}`);
  writeFileSync(join(directory, 'control'), `${lines.join('\n')}\n`);
}

/** A prerelease sorts before its release in dpkg with `~`, as it does in npm with `-`. */
function debianVersion(version) {
  return version.replace('-', '~');
}

function architecture() {
  return execFileSync('dpkg', ['--print-architecture'], { encoding: 'utf8' }).trim();
}

function sizeKiB() {
  return execFileSync('du', ['-sk', '--apparent-size', tree], { encoding: 'utf8' }).split('\t')[0];
}

/** Rights do not depend on the umask of who builds, nor times on when: the same commit is the same package. */
function pack() {
  execFileSync('chmod', ['-R', 'u=rwX,go=rX', tree]);
  mkdirSync(out, { recursive: true });
  const name = `${about.name}_${debianVersion(about.version)}_${architecture()}.deb`;
  const epoch = process.env.SOURCE_DATE_EPOCH ?? lastChange();
  const env = { ...process.env, SOURCE_DATE_EPOCH: epoch };
  const args = ['--root-owner-group', '-Zxz', '--build', tree, join(out, name)];
  execFileSync('dpkg-deb', args, { env, stdio: ['ignore', 'ignore', 'inherit'] });
  return join(out, name);
}

function lastChange() {
  try {
    return execFileSync('git', ['log', '-1', '--format=%ct'], {
      cwd: root,
      encoding: 'utf8',
    }).trim();
  } catch {
    return String(Math.floor(statSync(join(root, 'package.json')).mtimeMs / 1000));
  }
}
