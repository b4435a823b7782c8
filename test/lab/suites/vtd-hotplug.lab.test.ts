/** `autodomain watch` on a real kernel while devices are taken out, put back, unbound and removed. */
import { readFileSync, writeFileSync } from 'node:fs';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Bdf } from '../../../src/base/ids.ts';
import {
  bindVfio,
  Cli,
  cdevOf,
  container,
  driverOf,
  pageTableRoots,
  rootEdus,
  unbind,
  writeConfig,
} from '../guest.ts';
import { ended, slots, until, writing } from '../slots.ts';

const PCI = '/sys/bus/pci/devices';
/** Nothing but an event can end a nap of the daemon within a test. */
const RESYNC_MS = '600000';
/** What is asked of a release, and of taking a device again. */
const AT_ONCE_MS = 1000;

const [slot, other] = slots();
let resident: Bdf;
let spare: Bdf;
let cli: Cli;

beforeAll(() => {
  [resident, spare] = rootEdus() as [Bdf, Bdf];
  unbind(resident);
  unbind(spare);
});

afterEach(async () => {
  await cli.stop();
});

async function watching(...devices: readonly Bdf[]): Promise<void> {
  const claims = devices.map((pci) => ({ pci }));
  const dir = writeConfig({ 'x.yaml': container('x', { devices: claims }) });
  cli = new Cli(['watch', dir, '--settle', '50', '--resync', RESYNC_MS]);
  await cli.says('Nothing to do');
  cli.stderr = '';
  for (const device of devices) expect(isAttached(device)).toBe(true);
}

function isAttached(device: Bdf): boolean {
  return pageTableRoots().has(device) && driverOf(device) === 'vfio-pci';
}

/** Milliseconds until it is so. */
async function msUntil(what: string, isSo: () => boolean): Promise<number> {
  const start = performance.now();
  await until(what, isSo);
  return performance.now() - start;
}

describe('a device in a slot', () => {
  it('is released at once when it is taken out, missed, and taken again under another number', async () => {
    const device = await slot.plug('edu');
    await watching(device, resident);
    const number = cdevOf(device);
    const start = performance.now();
    await slot.unplug();
    const ms = performance.now() - start;
    await cli.says(`device-missing: ${device}`);
    expect(isAttached(resident), 'its companion stays').toBe(true);
    expect(cli.stderr).not.toContain(resident);

    expect(bindVfio(spare), 'somebody else gets the number').toBe(number);
    cli.stderr = '';
    expect(await slot.plug('edu')).toBe(device);
    const back = await msUntil('attachment', () => isAttached(device));
    expect(back).toBeLessThan(2 * AT_ONCE_MS);
    expect(cdevOf(device)).not.toBe(number);
    await cli.says('Nothing to do');
    process.stdout.write(
      `figure: a device taken out of its slot is gone after ${Math.round(ms)} ms, and attached ${Math.round(back)} ms after it is back\n`,
    );
    await cli.stop();
    unbind(spare);
    await slot.unplug();
  });

  it("that is nobody's comes and goes, and nothing is done", async () => {
    await watching(resident);
    const root = pageTableRoots().get(resident);
    await other.plug('nvme', { serial: 'hp' });
    await other.unplug();
    await new Promise((resolve) => setTimeout(resolve, AT_ONCE_MS));
    expect(cli.stderr).toBe('');
    expect(pageTableRoots().get(resident)).toBe(root);
  });
});

describe('a device that is held', () => {
  it('is released to whoever writes to `remove`, and taken again after a scan', async () => {
    await watching(resident, spare);
    const remover = writing(`${PCI}/${resident}/remove`, '1');
    const ms = await msUntil('removal', () => remover.exitCode !== null);
    expect(remover.exitCode).toBe(0);
    expect(ms).toBeLessThan(AT_ONCE_MS);
    await cli.says(`device-missing: ${resident}`);
    expect(isAttached(spare)).toBe(true);
    writeFileSync('/sys/bus/pci/rescan', '1');
    expect(await msUntil('attachment', () => isAttached(resident))).toBeLessThan(2 * AT_ONCE_MS);
    process.stdout.write(`figure: a remover sleeps ${Math.round(ms)} ms\n`);
  });

  it('is released to whoever writes to `unbind`, and bound again because it is claimed', async () => {
    await watching(resident);
    const unbinder = writing('/sys/bus/pci/drivers/vfio-pci/unbind', resident);
    expect(await msUntil('unbind', () => unbinder.exitCode !== null)).toBeLessThan(AT_ONCE_MS);
    expect(await ended(unbinder)).toBe(0);
    expect(await msUntil('attachment', () => isAttached(resident))).toBeLessThan(2 * AT_ONCE_MS);
    expect(readFileSync(`${PCI}/${resident}/driver_override`, 'utf8').trim()).toBe('vfio-pci');
  });
});
