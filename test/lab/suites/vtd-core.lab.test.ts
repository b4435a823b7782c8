/** Groups, mdevs, moves, the watcher, snapshot and doctor, on real functions behind VT-d. */
import { renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Bdf } from '../../../src/base/ids.ts';
import {
  bindVfio,
  Cli,
  container,
  createMdev,
  driverOf,
  functions,
  pageTableRoots,
  rebindNative,
  rootEdus,
  unbind,
  writeConfig,
} from '../guest.ts';

const MDEV = '99999999-2222-3333-4444-555555555555';
const NVME = '0000:00:12.0' as Bdf;

let edus: readonly Bdf[] = [];
/** Two edu functions behind a bridge, and nothing else there. */
let pair: readonly Bdf[] = [];
/** Two edu functions and an nvme on its native driver behind the other bridge. */
let mixed: readonly Bdf[] = [];
let cli: Cli | null = null;

beforeAll(() => {
  edus = rootEdus();
  const behind = functions('1234', '11e8').filter((bdf) => !edus.includes(bdf));
  mixed = behind.slice(0, 2);
  pair = behind.slice(2);
  for (const bdf of [...edus, ...behind]) unbind(bdf);
  createMdev(MDEV);
});

afterEach(async () => {
  await cli?.stop();
  cli = null;
});

function watching(
  files: Readonly<Record<string, string>>,
  ...more: readonly string[]
): { dir: string; cli: Cli } {
  const dir = writeConfig(files);
  cli = new Cli(['watch', dir, '--settle', '50', '--resync', '500', ...more]);
  return { dir, cli };
}

/** Replaces a file the way editors do. */
function edit(dir: string, name: string, text: string): void {
  writeFileSync(join(dir, `.${name}`), text);
  renameSync(join(dir, `.${name}`), join(dir, name));
}

const pci = (...bdfs: readonly (Bdf | undefined)[]) => bdfs.map((bdf) => ({ pci: bdf }));
const root = (bdf: Bdf | undefined) => pageTableRoots().get(bdf ?? '');

describe('the core on a real kernel', () => {
  it('converges two edu, an nvme and an mdev, as debugfs agrees', async () => {
    unbind(NVME);
    const devices = [...pci(...edus, NVME), { mdev: MDEV }];
    cli = new Cli([
      'apply',
      writeConfig({ 'a.yaml': container('a', { devices }) }),
      '--hold',
      '--yes',
      '--trace',
    ]);
    await cli.says('holding;');
    const roots = [...edus, NVME].map(root);
    expect(roots[0]).toBeDefined();
    expect(new Set(roots).size).toBe(1);
    expect(cli.stderr).toContain('1 container: 1 ready');
    const ioas = /IOMMU_IOAS_ALLOC\(.*out_ioas_id=(\d+)/.exec(cli.stderr)?.[1];
    expect(cli.stderr, 'the mdev is attached to the IOAS').toContain(`{pt_id=${ioas}}) = 0`);
    expect(await cli.stop()).toBe(0);
    expect(cli.stderr).toContain('let go: nothing is left');
    rebindNative(NVME);
  });

  it('moves a group as one, by one replace', async () => {
    const spec = { devices: pci(...pair) };
    const { dir, cli: watch } = watching({ 'g.yaml': container('g', spec) }, '--trace');
    await watch.says('Nothing to do');
    const before = root(pair[0]);
    expect(root(pair[1])).toBe(before);
    watch.stderr = '';
    // Behind VT-d nothing can be a nesting parent or track; a move to another container of the context is a replace.
    edit(
      dir,
      'g.yaml',
      `${container('g', { iommufd: 'g' })}\n---\n${container('h', { ...spec, iommufd: 'g' })}`,
    );
    await watch.says('Nothing to do; 2 containers untouched');
    const attaches = watch.stderr.match(/trace: VFIO_DEVICE_ATTACH_IOMMUFD_PT/g) ?? [];
    expect(attaches).toHaveLength(1);
    expect(watch.stderr).not.toContain('VFIO_DEVICE_DETACH');
    expect(root(pair[0])).toBe(root(pair[1]));
    expect(root(pair[0])).not.toBe(before);
  });

  it('names a mate on a native driver, and a mate that is not listed', async () => {
    const native = new Cli([
      'plan',
      writeConfig({ 'm.yaml': container('m', { devices: pci(...mixed) }) }),
    ]);
    expect(await native.exited).toBe(6);
    expect(native.stdout).toMatch(
      /group-not-viable: \S+, in IOMMU group \d+ with \S+, is on the native driver nvme/,
    );
    const single = new Cli([
      'plan',
      writeConfig({ 's.yaml': container('s', { devices: pci(pair[0]) }) }),
    ]);
    expect(await single.exited).toBe(6);
    expect(single.stdout).toContain(`also has ${pair[1]}`);
  });

  it('moves within a context by one replace, and between contexts by close and bind', async () => {
    const [a, b] = edus;
    const text = (
      left: readonly (Bdf | undefined)[],
      right: readonly (Bdf | undefined)[],
      context?: string,
    ): string =>
      [
        container('left', { ...(context ? { iommufd: context } : {}), devices: pci(...left) }),
        container('right', { ...(context ? { iommufd: context } : {}), devices: pci(...right) }),
      ].join('\n---\n');
    const { dir, cli: watch } = watching({ 'c.yaml': text([a], [b], 'shared') }, '--trace');
    await watch.says('Nothing to do; 2 containers untouched');
    expect(root(a)).not.toBe(root(b));
    watch.stderr = '';
    edit(dir, 'c.yaml', text([], [a, b], 'shared'));
    await watch.says('Nothing to do; 2 containers untouched');
    expect(watch.stderr.match(/trace: VFIO_DEVICE_ATTACH/g)).toHaveLength(1);
    expect(watch.stderr).not.toContain('trace: VFIO_DEVICE_DETACH');
    expect(watch.stderr, 'the HWPT that it left is freed').toContain('destroy HWPT');
    expect(root(a)).toBe(root(b));
    watch.stderr = '';
    edit(
      dir,
      'c.yaml',
      `${container('left', { devices: pci(a) })}\n---\n${container('right', { iommufd: 'shared', devices: pci(b) })}`,
    );
    await watch.says('Nothing to do; 2 containers untouched');
    expect(watch.stderr).toMatch(/detach.*close.*open.*attach/s);
    expect(root(a)).not.toBe(root(b));
  });

  it('frees what a leaving device used, and takes reused ids for what they are', async () => {
    const [a, b] = edus;
    const { dir, cli: watch } = watching(
      { 'a.yaml': container('a', { iommufd: 'x', devices: pci(a) }) },
      '--removal-grace',
      '0',
    );
    await watch.says('Nothing to do');
    for (const devices of [[b], [a], [a, b], [b]]) {
      watch.stderr = '';
      edit(dir, 'a.yaml', container('a', { iommufd: 'x', devices: pci(...devices) }));
      await watch.says('Nothing to do; 1 container untouched');
      expect(root(devices[0])).toBeDefined();
    }
    expect(watch.stderr).not.toContain('contradiction');
    watch.stderr = '';
    unlinkSync(join(dir, 'a.yaml'));
    await watch.says('close iommufd context x');
  });

  it('refuses required dirty tracking on VT-d, with the reason', async () => {
    const config = writeConfig({
      'd.yaml': container('d', { dirtyTracking: { mode: 'required' }, devices: pci(edus[0]) }),
    });
    const plan = new Cli(['plan', config]);
    expect(await plan.exited).toBe(6);
    expect(plan.stdout).toContain('dirty-tracking-unsupported');
    expect(plan.stdout).toContain('ECAP.SSADS');
  });

  it('plans from a snapshot what it plans on the machine', async () => {
    bindVfio(edus[0] as Bdf);
    const config = writeConfig({ 's.yaml': container('s', { devices: pci(...edus, ...pair) }) });
    const snapshot = new Cli(['snapshot']);
    expect(await snapshot.exited).toBe(0);
    const file = join(config, '..', 'snapshot.yaml');
    writeFileSync(file, snapshot.stdout);
    const here = new Cli(['plan', config, '-o', 'json']);
    const there = new Cli(['plan', config, '-o', 'json', '--host', file]);
    expect(await here.exited, here.stderr).toBe(0);
    expect(await there.exited, there.stderr).toBe(0);
    const steps = (text: string): unknown => (JSON.parse(text) as { steps: unknown }).steps;
    expect(steps(there.stdout)).toEqual(steps(here.stdout));
  });

  it('finds the machine fit, and says what is missing without /dev/iommu', async () => {
    const fit = new Cli(['doctor']);
    expect(await fit.exited, fit.stdout).toBe(0);
    expect(fit.stdout).toContain('/dev/iommu opens');
    unbind(edus[1] as Bdf);
    const devices = pci(NVME, edus[1]);
    const told = new Cli(['doctor', writeConfig({ 'n.yaml': container('n', { devices }) })]);
    expect(await told.exited).toBe(69);
    expect(told.stdout).toContain(`native-driver    n: ${NVME} is on the native driver nvme`);
    const driverless = writeConfig({ 'd.yaml': container('d', { devices: pci(edus[1]) }) });
    const bound = new Cli(['doctor', driverless]);
    expect(await bound.exited).toBe(0);
    expect(bound.stdout).toContain(`${edus[1]} has no driver and will be bound to vfio-pci`);
    const holder = new Cli(['apply', driverless, '--hold', '--yes']);
    await holder.says('holding;');
    const held = new Cli(['doctor']);
    await held.exited;
    expect(held.stdout).toContain(`${edus[1]} is held by`);
    await holder.stop();
    renameSync('/dev/iommu', '/dev/iommu-away');
    try {
      const missing = new Cli(['doctor']);
      expect(await missing.exited).toBe(69);
      expect(missing.stdout).toContain('CONFIG_IOMMUFD');
      const config = writeConfig({ 'a.yaml': container('a', { devices: pci(edus[0]) }) });
      const apply = new Cli(['apply', config, '--hold', '--yes']);
      expect(await apply.exited).toBe(69);
      expect(apply.stderr).toContain('CONFIG_IOMMUFD');
    } finally {
      renameSync('/dev/iommu-away', '/dev/iommu');
    }
    expect(driverOf(edus[0] as Bdf)).toBe('vfio-pci');
  });
});
