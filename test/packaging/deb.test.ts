/** The Debian package, built and unpacked: what is in it, and that what is in it runs. Needs dist, as the package does. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const work = mkdtempSync(join(tmpdir(), 'autodomain-deb-'));
const tree = join(work, 'tree');
const examples = join(tree, 'usr/share/doc/autodomain/examples/two-vfs');
let deb = '';

beforeAll(() => {
  const printed = execFileSync(process.execPath, ['scripts/deb.mjs', work], { encoding: 'utf8' });
  deb = printed.trim();
  execFileSync('dpkg-deb', ['-R', deb, tree]);
}, 120_000);

afterAll(() => {
  rmSync(work, { recursive: true, force: true });
});

function packed(...argv: readonly string[]): {
  readonly code: number | null;
  readonly text: string;
} {
  const program = join(tree, 'usr/bin/autodomain');
  const { status, stdout, stderr } = spawnSync(program, argv, { encoding: 'utf8', cwd: work });
  return { code: status, text: `${stdout}${stderr}` };
}

describe('the package', () => {
  it('validates and plans', () => {
    expect(packed('validate', join(examples, 'config'))).toMatchObject({ code: 0 });
    const plan = packed('plan', join(examples, 'config'), '--host', join(examples, 'host.yaml'));
    expect(plan.code).toBe(0);
    expect(plan.text).toContain('Plan: 7 steps');
  });

  it('has what calls the kernel', () => {
    const { text } = packed('doctor');
    expect(text).toContain('iommufd');
    expect(text).not.toContain('Cannot find module');
  });

  it('belongs to root, and nobody else can write to anything', () => {
    const lines = execFileSync('dpkg-deb', ['-c', deb], { encoding: 'utf8' }).trim().split('\n');
    expect(lines.length).toBeGreaterThan(100);
    const open = lines.filter((line) => !/^(l.{9}|[d-]rw[x-]r-[x-]r-[x-]) root\/root /.test(line));
    expect(open).toEqual([]);
  });

  it('has the unit, its group, its directory, its settings and its pages', () => {
    for (const path of [
      'usr/lib/systemd/system/autodomain.service',
      'usr/lib/sysusers.d/autodomain.conf',
      'usr/lib/tmpfiles.d/autodomain.conf',
      'etc/autodomain/autodomain.yaml',
      'etc/autodomain.d',
      'usr/share/man/man1/autodomain.1.gz',
      'usr/share/man/man5/autodomain.5.gz',
      'usr/share/doc/autodomain/copyright',
    ]) {
      expect(existsSync(join(tree, path)), path).toBe(true);
    }
    const kept = readFileSync(join(tree, 'DEBIAN/conffiles'), 'utf8');
    expect(kept).toBe('/etc/autodomain/autodomain.yaml\n');
  });

  it('has nothing that only a developer needs', () => {
    const modules = readdirSync(join(tree, 'usr/lib/autodomain/node_modules'));
    expect(modules).toContain('koffi');
    for (const name of ['typescript', 'vitest', 'ajv', '@biomejs'])
      expect(modules).not.toContain(name);
    expect(statSync(deb).size).toBeLessThan(8 << 20);
  });

  it('has scripts that a shell understands, and stops nothing on an upgrade', () => {
    for (const name of ['postinst', 'prerm', 'postrm']) {
      expect(spawnSync('sh', ['-n', join(tree, 'DEBIAN', name)]).status, name).toBe(0);
    }
    const prerm = spawnSync('sh', ['-x', join(tree, 'DEBIAN/prerm'), 'upgrade', '9'], {
      encoding: 'utf8',
    });
    expect(prerm.status).toBe(0);
    expect(prerm.stderr).not.toContain('stop');
  });
});
