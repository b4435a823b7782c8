/** Virtual functions on a real kernel: chosen by physical function and index, bound, converged. */
import { existsSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Cli, container, driverOf, pageTableRoots, writeConfig } from '../guest.ts';

const PCI = '/sys/bus/pci/devices';

describe('virtual functions', () => {
  it('are selected by index, lowest first, and converge', async () => {
    const pf = readdirSync(PCI).find((bdf) => existsSync(`${PCI}/${bdf}/sriov_numvfs`));
    if (pf === undefined) throw new Error('the lab has no function with SR-IOV');
    writeFileSync(`${PCI}/${pf}/sriov_drivers_autoprobe`, '0');
    writeFileSync(`${PCI}/${pf}/sriov_numvfs`, '4');
    const vf = (index: number): string =>
      readlinkSync(`${PCI}/${pf}/virtfn${index}`).replace('../', '');
    const devices = [{ select: { pf, vf: '1-3' }, count: 2 }];
    const cli = new Cli([
      'apply',
      writeConfig({ 'v.yaml': container('v', { devices }) }),
      '--hold',
      '--yes',
    ]);
    await cli.says('holding;');
    expect([0, 1, 2, 3].map((index) => driverOf(vf(index) as never))).toEqual([
      null,
      'vfio-pci',
      'vfio-pci',
      null,
    ]);
    const roots = pageTableRoots();
    expect(roots.get(vf(1))).toBeDefined();
    expect(roots.get(vf(2))).toBe(roots.get(vf(1)));
    expect(await cli.stop()).toBe(0);

    const graph = new Cli(['graph']);
    expect(await graph.exited).toBe(0);
    expect(graph.stdout).toContain(`VF 1 of ${pf}`);
  });
});
