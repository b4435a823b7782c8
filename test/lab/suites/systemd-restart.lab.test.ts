/**
 * Restart without loss, under the real systemd on a real kernel: kills at random moments of an apply, a restart, an
 * upgrade, a hung daemon, a damaged journal; and what is lost by a stop and at the start limit.
 */
import { cpSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Bdf } from '../../../src/base/ids.ts';
import { seeded } from '../../support/rng.ts';
import { bindVfio, container, createMdev, functions, rootEdus, unbind } from '../guest.ts';
import {
  CONFIG,
  kill,
  lifeOf,
  ownerPid,
  property,
  said,
  settledAfter,
  startBusMaster,
  systemctl,
  until,
  writeUnit,
} from '../service.ts';

const MDEV = '99999999-2222-3333-4444-555555555555';
const SEED = Number(process.env['LAB_SEED'] ?? 1);
const KILLS = Number(process.env['LAB_KILLS'] ?? 10);
const repo = process.cwd();

/** Held before every apply, and never to be touched by one: an edu, an nvme and an mdev. */
let base: readonly Bdf[] = [];
/** What the applies are about. */
let others: readonly (readonly Bdf[])[] = [];
let before: readonly string[] = [];

/** Replaces a file the way editors do. */
function write(name: string, text: string): void {
  writeFileSync(join(CONFIG, `.${name}`), text);
  renameSync(join(CONFIG, `.${name}`), join(CONFIG, `${name}.yaml`));
}

const pci = (...bdfs: readonly (Bdf | undefined)[]) => bdfs.map((bdf) => ({ pci: bdf }));

/** Other containers, beside `base` in its context or in one of their own; every edit differs from the last. */
function edit(random: () => number): void {
  const some = others.filter(() => random() < 0.6).flat();
  const iommufd = random() < 0.5 ? { iommufd: 'base' } : {};
  const spec = some.length === 0 ? { state: 'absent' } : { ...iommufd, devices: pci(...some) };
  const pool = random() < 0.3 ? [container('empty', { iommufd: 'base' })] : [];
  write('extra', [container('extra', spec), ...pool].join('\n---\n'));
}

beforeAll(async () => {
  const edus = rootEdus();
  const nvmes = functions('1b36', '0010');
  const pair = functions('1234', '11e8').filter((bdf) => !edus.includes(bdf));
  for (const bdf of [...edus, ...nvmes, ...pair]) unbind(bdf);
  for (const bdf of [...edus, ...nvmes, ...pair]) bindVfio(bdf);
  createMdev(MDEV);
  base = [edus[0] as Bdf, nvmes[0] as Bdf];
  // A group goes as a whole.
  others = [[edus[1] as Bdf], [nvmes[1] as Bdf], pair];
  writeUnit(repo);
  write('base', container('base', { iommufd: 'base', devices: [...pci(...base), { mdev: MDEV }] }));
  systemctl('start', 'autodomain');
  await settledAfter(null, 0);
  for (const bdf of base) startBusMaster(bdf);
  before = lifeOf(base);
});

describe('a restart', () => {
  it('begins from what can be told apart: a page table in use, and a bus master', () => {
    expect(before.join()).not.toContain('undefined');
    expect(before.join()).not.toContain('quiet');
    expect(said()).toContain('a restart keeps every context, HWPT and attachment');
  });

  it(`keeps everything through ${KILLS} kills at random moments of an apply`, {
    timeout: 1_500_000,
  }, async () => {
    const random = seeded(SEED);
    let inTheMiddle = 0;
    for (let n = 1; n <= KILLS; n += 1) {
      const delayMs = random() * 900;
      edit(random);
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      const pid = await kill();
      const from = said().length;
      expect(lifeOf(base), `kill ${n}, at once`).toEqual(before);
      await settledAfter(pid, from);
      const life = said().slice(from);
      expect(lifeOf(base), `kill ${n}, seed ${SEED}\n${life}`).toEqual(before);
      expect(life).toMatch(/context base with \d+ devices? is as the journal says/);
      expect(life).not.toMatch(/nothing is done in it|did not come back|a defect of/);
      if (/finished:|taken back:|not begun:|: freed|: closed|being closed|read anew:/.test(life))
        inTheMiddle += 1;
    }
    console.log(
      `figure: ${KILLS} kills, seed ${SEED}: ${inTheMiddle} in the middle of a step, nothing lost`,
    );
    expect(property('NRestarts')).toBe(String(KILLS));
  });

  it('keeps everything through `systemctl restart`, and says so', async () => {
    const [pid, from] = [ownerPid(), said().length];
    systemctl('restart', 'autodomain');
    await settledAfter(pid, from);
    expect(lifeOf(base)).toEqual(before);
    expect(said().slice(from)).toContain('what is held stays open in the service manager');
  });

  it('keeps everything through an upgrade, a reload of systemd and a new execution of it', async () => {
    const root = '/run/tmp/upgraded';
    mkdirSync(root);
    for (const name of ['bin', 'dist', 'schema', 'package.json'])
      cpSync(join(repo, name), join(root, name), { recursive: true });
    symlinkSync(join(repo, 'node_modules'), join(root, 'node_modules'));
    writeUnit(root);
    systemctl('daemon-reexec');
    const [pid, from] = [ownerPid(), said().length];
    systemctl('restart', 'autodomain');
    await settledAfter(pid, from);
    expect(readFileSync(`/proc/${ownerPid()}/cmdline`, 'utf8')).toContain(root);
    expect(lifeOf(base)).toEqual(before);
  });

  it('comes by itself where the daemon hangs: the watchdog', async () => {
    const from = said().length;
    const pid = await kill('SIGSTOP');
    await settledAfter(pid, from);
    expect(lifeOf(base)).toEqual(before);
  });

  it('touches nothing while the journal is damaged, and goes on once it is mended', async () => {
    const journal = '/run/autodomain/journal';
    const from = said().length;
    const pid = ownerPid();
    process.kill(pid ?? 0, 'SIGSTOP');
    const good = readFileSync(journal);
    writeFileSync(journal, good.subarray(0, good.length / 2));
    process.kill(pid ?? 0, 'SIGKILL');
    await until('refused', () => said().slice(from).includes('so nothing is touched'));
    expect(lifeOf(base)).toEqual(before);
    writeFileSync(journal, good);
    await settledAfter(pid, from);
    expect(lifeOf(base)).toEqual(before);
  });
});

describe('what is lost', () => {
  it('by a stop: everything, as it was said; a start builds it anew', async () => {
    const from = said().length;
    const pid = ownerPid();
    systemctl('stop', 'autodomain');
    expect(said().slice(from)).toContain('a start finds it as it is, a stop closes it');
    await until('closed', () => lifeOf(base).join().includes('quiet'));
    expect(lifeOf(base).some((life) => before.includes(life))).toBe(false);
    systemctl('start', 'autodomain');
    await settledAfter(pid, from);
    expect(lifeOf(base).join()).not.toContain('undefined');
  });

  it('at a start limit: everything, which is why the unit has none', async () => {
    writeUnit(repo, ['StartLimitIntervalSec=600', 'StartLimitBurst=2']);
    systemctl('stop', 'autodomain');
    const from = said().length;
    systemctl('start', 'autodomain');
    await settledAfter(null, from);
    for (const bdf of base) startBusMaster(bdf);
    const held = lifeOf(base);
    const pid = await kill();
    await until('back', () => ownerPid() !== pid && ownerPid() !== null);
    expect(lifeOf(base)).toEqual(held);
    await kill();
    await until('failed', () => property('ActiveState') === 'failed');
    await until('closed', () => lifeOf(base).join().includes('quiet'));
  });
});
