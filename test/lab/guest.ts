/** What the suites do in the guest besides calling the code under test: finding and preparing devices, asking the oracle, running the command line. */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Bdf, compareText } from '../../src/base/ids.ts';

const PCI = '/sys/bus/pci/devices';

/** Functions with this vendor and device id, by address. */
export function functions(vendor: string, device: string): readonly Bdf[] {
  return (readdirSync(PCI) as Bdf[])
    .filter((bdf) => readId(bdf, 'vendor') === vendor && readId(bdf, 'device') === device)
    .sort(compareText);
}

/** The `edu` functions on the root bus: each alone in its group. */
export function rootEdus(): readonly Bdf[] {
  return functions('1234', '11e8').filter((bdf) => bdf.startsWith('0000:00:'));
}

/** The group of a function. */
export function groupOf(bdf: Bdf): number {
  return Number(readlinkSync(`${PCI}/${bdf}/iommu_group`).split('/').at(-1));
}

/** The driver of a function, or null. */
export function driverOf(bdf: Bdf): string | null {
  try {
    return readlinkSync(`${PCI}/${bdf}/driver`).split('/').at(-1) ?? null;
  } catch {
    return null;
  }
}

/** Takes a function off its driver, if it has one, and clears the override. */
export function unbind(bdf: Bdf): void {
  const driver = driverOf(bdf);
  if (driver !== null) writeFileSync(`/sys/bus/pci/drivers/${driver}/unbind`, bdf);
  writeFileSync(`${PCI}/${bdf}/driver_override`, '\n');
}

/** Gives a function back to the driver that the kernel would choose. */
export function rebindNative(bdf: Bdf): void {
  unbind(bdf);
  writeFileSync('/sys/bus/pci/drivers_probe', bdf);
}

/** Binds a function to vfio-pci and returns the name of its device file. */
export function bindVfio(bdf: Bdf): string {
  if (driverOf(bdf) !== 'vfio-pci') {
    unbind(bdf);
    writeFileSync(`${PCI}/${bdf}/driver_override`, 'vfio-pci');
    writeFileSync('/sys/bus/pci/drivers/vfio-pci/bind', bdf);
  }
  return cdevOf(bdf);
}

/** The device file of a function on vfio-pci. */
export function cdevOf(bdf: Bdf): string {
  const [name] = readdirSync(`${PCI}/${bdf}/vfio-dev`);
  if (name === undefined) throw new Error(`${bdf} has no device file`);
  return name;
}

/** Creates an mtty mdev. */
export function createMdev(uuid: string): void {
  writeFileSync('/sys/class/mdev_bus/mtty/mdev_supported_types/mtty-2/create', uuid);
}

/**
 * The oracle: the root of the page table that VT-d walks for each function, from debugfs. Functions
 * with the same root are on the same HWPT; one that is blocked has no row.
 */
export function pageTableRoots(): ReadonlyMap<string, string> {
  const text = readFileSync('/sys/kernel/debug/iommu/intel/dmar_translation_struct', 'utf8');
  const roots = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, bdf, context] =
      /^([0-9a-f]{2}:[0-9a-f]{2}\.[0-7])\s+0x[0-9a-f]+:0x[0-9a-f]+\s+0x[0-9a-f]+:0x([0-9a-f]+)/.exec(
        line,
      ) ?? [];
    if (bdf !== undefined && context !== undefined) {
      roots.set(`0000:${bdf}`, (BigInt(`0x${context}`) & ~0xfffn).toString(16));
    }
  }
  return roots;
}

/** Writes the files of a config and returns their directory. */
export function writeConfig(files: Readonly<Record<string, string>>): string {
  const dir = mkdtempSync(join(tmpdir(), 'config-'));
  chmodSync(dir, 0o755);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
  return dir;
}

/** A Container document. */
export function container(name: string, spec: object): string {
  return JSON.stringify({
    apiVersion: 'autodomain.dev/v1alpha1',
    kind: 'Container',
    metadata: { name },
    spec,
  });
}

/** The run directory of every autodomain of the lab. */
export const RUN_DIR = join(tmpdir(), 'autodomain');

/** A running or ended autodomain. */
export class Cli {
  stdout = '';
  stderr = '';
  readonly process: ChildProcess;
  readonly exited: Promise<number | null>;

  constructor(
    args: readonly string[],
    options: { readonly uid?: number; readonly runDir?: string } = {},
  ) {
    this.process = spawn(process.execPath, ['bin/autodomain.cjs', ...args], {
      env: { ...process.env, AUTODOMAIN_RUN_DIR: options.runDir ?? RUN_DIR },
      ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
    });
    this.process.stdout?.on('data', (data) => {
      this.stdout += data;
    });
    this.process.stderr?.on('data', (data) => {
      this.stderr += data;
    });
    this.exited = new Promise((resolve) => this.process.on('close', resolve));
  }

  /** Waits until stderr has the text; throws with all of it when the process ends before. */
  says(text: string): Promise<void> {
    return this.#until(text, () => this.stderr);
  }

  /** The same of stdout. */
  prints(text: string): Promise<void> {
    return this.#until(text, () => this.stdout);
  }

  async #until(text: string, heard: () => string): Promise<void> {
    let ended = false;
    void this.exited.then(() => {
      ended = true;
    });
    while (!heard().includes(text)) {
      if (ended) throw new Error(`it ended without saying '${text}':\n${this.stderr}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Sends SIGTERM and waits for the end. */
  async stop(): Promise<number | null> {
    this.process.kill('SIGTERM');
    return this.exited;
  }
}

function readId(bdf: string, file: string): string {
  return readFileSync(`${PCI}/${bdf}/${file}`, 'utf8').trim().slice(2);
}

/** The device file of an mdev. */
export function mdevCdev(uuid: string): string {
  const [name] = readdirSync(`/sys/bus/mdev/devices/${uuid}/vfio-dev`);
  if (name === undefined) throw new Error(`${uuid} has no device file`);
  return name;
}
