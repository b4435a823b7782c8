// The host's side of the figures that need a kernel with iommufd: boots one guest with sixteen NVMe
// functions on sixteen root ports, lets `guest.mjs` measure there, and hands out what it wrote.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compileC } from '../../scripts/c-compiler.mjs';
import { labKernel, runGuest } from '../../test/lab/qemu.mjs';

const PORTS = 16;
const TIMEOUT_MS = 9 * 60_000;

let measured = null;

/** What the guest measured, by figure. Boots on the first call only. */
export function labFigures() {
  measured ??= measure();
  return measured;
}

async function measure() {
  const kernel = labKernel();
  const out = mkdtempSync(join(tmpdir(), 'autodomain-bench-lab-'));
  try {
    mkdirSync(join(out, 'c'));
    for (const name of ['converge', 'ioctl'])
      compileC(fileURLToPath(new URL(`../c/${name}.c`, import.meta.url)), join(out, 'c', name));
    const devices = [
      ['intel-iommu', 'intremap=on,caching-mode=off'],
      ['edu', 'addr=0x1e'],
      ...Array.from({ length: PORTS }, (_, at) => [
        ['pcie-root-port', `id=rp${at},chassis=${at + 1},slot=${at + 1}`],
        ['nvme', `serial=n${at},bus=rp${at}`],
      ]).flat(),
    ];
    const append = 'intel_iommu=on,sm_off lab.main=bench/lab/guest.mjs';
    const console_ = await runGuest({ kernel, append, devices, out, timeoutMs: TIMEOUT_MS });
    const figures = join(out, 'figures.json');
    if (!existsSync(figures)) {
      const log = join(out, 'main.log');
      throw new Error(
        `the guest measured nothing:\n${existsSync(log) ? readFileSync(log, 'utf8') : console_.slice(-4000)}`,
      );
    }
    return JSON.parse(readFileSync(figures, 'utf8'));
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}
