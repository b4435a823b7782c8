/** The command line on a real kernel: converge, agree with the page tables in use, let go, refuse. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Bdf } from '../../../src/base/ids.ts';
import {
  bindVfio,
  Cli,
  container,
  driverOf,
  pageTableRoots,
  rootEdus,
  unbind,
  writeConfig,
} from '../guest.ts';

let edus: readonly Bdf[] = [];

beforeAll(() => {
  edus = rootEdus();
  expect(edus.length).toBeGreaterThanOrEqual(2);
  for (const edu of edus) unbind(edu);
});

afterAll(() => {
  for (const edu of edus) unbind(edu);
});

function twoEdus(): string {
  return writeConfig({
    'blue.yaml': container('blue', { devices: edus.slice(0, 2).map((pci) => ({ pci })) }),
  });
}

describe('apply --hold', () => {
  it('converges two edu functions, agrees with debugfs, and lets go in order', async () => {
    const cli = new Cli(['apply', twoEdus(), '--hold', '--yes', '--trace']);
    await cli.says('holding;');
    const [a, b] = edus.map((edu) => pageTableRoots().get(edu));
    expect(a).toBeDefined();
    expect(a).toBe(b);
    expect(edus.slice(0, 2).map(driverOf)).toEqual(['vfio-pci', 'vfio-pci']);
    expect(cli.stderr).toContain('1 container: 1 ready');
    for (const call of [
      'VFIO_DEVICE_BIND_IOMMUFD',
      'IOMMU_IOAS_ALLOC',
      'IOMMU_HWPT_ALLOC',
      'VFIO_DEVICE_ATTACH_IOMMUFD_PT',
    ]) {
      expect(cli.stderr).toContain(`trace: ${call}(`);
    }
    expect(await cli.stop()).toBe(0);
    expect(cli.stderr).toContain('let go: nothing is left');
    // The kernel's own default domain is back: another page table than the container's.
    for (const edu of edus) expect(pageTableRoots().get(edu)).not.toBe(a);
  });

  it('names the owner to a second one, with exit 75', async () => {
    const config = twoEdus();
    const first = new Cli(['apply', config, '--hold', '--yes']);
    await first.says('holding;');
    const second = new Cli(['apply', config, '--hold', '--yes']);
    expect(await second.exited).toBe(75);
    expect(second.stderr).toContain(`pid ${first.process.pid}`);
    expect(await first.stop()).toBe(0);
  });

  it('plans on the running kernel without a writing call, and finds a held device', async () => {
    const config = twoEdus();
    const plan = new Cli(['plan', config, '-o', 'json']);
    expect(await plan.exited).toBe(0);
    const document = JSON.parse(plan.stdout) as { summary: { steps: number } };
    expect(document.summary.steps).toBeGreaterThan(0);

    const holder = new Cli(['apply', config, '--hold', '--yes']);
    await holder.says('holding;');
    const blocked = new Cli(['plan', config]);
    expect(await blocked.exited).toBe(6);
    expect(blocked.stdout).toContain('in-use');
    expect(blocked.stdout).toContain(`pid ${holder.process.pid}`);
    expect(await holder.stop()).toBe(0);
  });

  it('refuses a device on a native driver and names it', async () => {
    const nvme = '0000:00:12.0' as Bdf;
    expect(driverOf(nvme)).toBe('nvme');
    const config = writeConfig({ 'n.yaml': container('n', { devices: [{ pci: nvme }] }) });
    const cli = new Cli(['apply', config, '--hold', '--yes']);
    expect(await cli.exited).toBe(6);
    expect(cli.stderr).toContain('native driver nvme');
    expect(cli.stderr).toContain('driver_override');
    expect(driverOf(nvme)).toBe('nvme');
  });

  it('says without the right what is missing, with exit 77', async () => {
    bindVfio(edus[0] as Bdf);
    // Where no daemon of another user could be asked.
    const runDir = join(tmpdir(), 'nobody');
    const cli = new Cli(['plan', twoEdus()], { uid: 65534, runDir });
    expect(await cli.exited).toBe(77);
    expect(cli.stderr).toContain('/dev/iommu');
    expect(cli.stderr).toContain('root');
  });
});
