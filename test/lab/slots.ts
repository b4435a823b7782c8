/**
 * Hot-plug slots of the guest: QEMU's monitor puts devices in and asks for them back; the slot's
 * registers say so. The lab's kernel has no hot-plug driver, so what such a driver does is done here:
 * remove the function when the attention button is pressed, then switch the slot off; switch it on
 * and scan the bus when something was put in.
 * Source: PCIe base specification 6.7, drivers/pci/hotplug/pciehp_ctrl.c (v6.12).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { type Bdf, isBdf } from '../../src/base/ids.ts';

const PCI = '/sys/bus/pci/devices';
const OUT = '/run/out';
const PATIENCE_MS = 10_000;

/** PCI Express capability, include/uapi/linux/pci_regs.h (v6.12). */
const CAP_ID_EXP = 0x10;
const SLTCTL = 0x18;
const SLTSTA = 0x1a;
const POWER_OFF = 0x400;
const INDICATOR_ON = 0x100;
const INDICATOR_OFF = 0x300;
const CONTROL_MASK = POWER_OFF | INDICATOR_OFF;
const BUTTON_PRESSED = 1;

let requests = 0;

/** Asks QEMU's monitor, through the runner (monitor.mjs). Throws what it refuses. */
export async function monitor(execute: string, args: object): Promise<void> {
  requests += 1;
  const path = `${OUT}/monitor-${String(requests).padStart(4, '0')}`;
  writeFileSync(`${path}.part`, JSON.stringify({ execute, arguments: args }));
  renameSync(`${path}.part`, `${path}.json`);
  await until(`an answer to ${execute}`, () => existsSync(`${path}.answer`));
  const { error } = JSON.parse(readFileSync(`${path}.answer`, 'utf8')) as { error?: object };
  if (error !== undefined) throw new Error(`${execute}: ${JSON.stringify(error)}`);
}

/** A slot on a root port. `port` is its id in QEMU, `at` its address. */
export class Slot {
  readonly port: string;
  readonly at: Bdf;
  #id: string | null = null;

  constructor(port: string, at: string) {
    this.port = port;
    this.at = at as Bdf;
  }

  /** Puts a device in; returns its address. */
  async plug(driver: string, properties: object = {}): Promise<Bdf> {
    requests += 1;
    this.#id = `${this.port}-${requests}`;
    await monitor('device_add', { driver, bus: this.port, id: this.#id, ...properties });
    this.#clearButton();
    this.#control(INDICATOR_ON);
    writeFileSync('/sys/bus/pci/rescan', '1');
    await until(
      `a device in ${this.port}, whose slot says ${this.#read(SLTSTA).toString(16)} ${this.#read(SLTCTL).toString(16)}`,
      () => this.#found() !== null,
    );
    return this.#found() as Bdf;
  }

  /** Asks for the device. Resolves once whoever has it open has let go, it is removed and the slot is off. */
  async unplug(): Promise<void> {
    const device = this.#found();
    if (device === null) throw new Error(`${this.port} is empty`);
    await monitor('device_del', { id: this.#id });
    await until('the attention button', () => (this.#read(SLTSTA) & BUTTON_PRESSED) !== 0);
    this.#clearButton();
    await ended(writing(`${PCI}/${device}/remove`, '1'));
    this.#control(POWER_OFF | INDICATOR_OFF);
    await until('the slot to be empty', () => (this.#read(SLTSTA) & PRESENT) === 0);
  }

  #found(): Bdf | null {
    return readdirSync(`${PCI}/${this.at}`).find(isBdf) ?? null;
  }

  #clearButton(): void {
    this.#write(SLTSTA, BUTTON_PRESSED);
  }

  #control(bits: number): void {
    this.#write(SLTCTL, (this.#read(SLTCTL) & ~CONTROL_MASK) | bits);
  }

  #read(register: number): number {
    return configWord(this.at, capability(this.at) + register);
  }

  #write(register: number, value: number): void {
    const bytes = Buffer.alloc(2);
    bytes.writeUInt16LE(value);
    const fd = openSync(`${PCI}/${this.at}/config`, 'r+');
    writeSync(fd, bytes, 0, 2, capability(this.at) + register);
    closeSync(fd);
  }
}

/** Slot status: something is in the slot. */
const PRESENT = 0x40;

/** The slots of the boot with VT-d. */
export function slots(): readonly [Slot, Slot] {
  return [new Slot('hp1', '0000:00:18.0'), new Slot('hp2', '0000:00:19.0')];
}

/** Writes a sysfs file in a process of its own: the kernel may keep the writer asleep for long. */
export function writing(path: string, text: string): ChildProcess {
  return spawn('/bin/busybox', ['sh', '-c', `echo '${text}' > '${path}'`], { stdio: 'ignore' });
}

/** The exit code of a process. */
export function ended(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => {
    if (child.exitCode !== null) resolve(child.exitCode);
    else child.on('close', resolve);
  });
}

/** Resolves once it is so; throws after ten seconds. */
export async function until(what: string, isSo: () => boolean): Promise<void> {
  const start = performance.now();
  while (!isSo()) {
    if (performance.now() - start > PATIENCE_MS) throw new Error(`still no ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function configWord(bdf: Bdf, offset: number): number {
  const bytes = Buffer.alloc(2);
  const fd = openSync(`${PCI}/${bdf}/config`, 'r');
  readSync(fd, bytes, 0, 2, offset);
  closeSync(fd);
  return bytes.readUInt16LE();
}

/** The offset of the PCI Express capability. */
function capability(bdf: Bdf): number {
  for (let at = configWord(bdf, 0x34) & 0xfc; at !== 0; at = (configWord(bdf, at) >> 8) & 0xfc) {
    if ((configWord(bdf, at) & 0xff) === CAP_ID_EXP) return at;
  }
  throw new Error(`${bdf} is no PCI Express function`);
}
