/** autodomain as a unit of the guest's systemd: its unit, its pid, what it says, and what may not happen to its devices. */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import type { Bdf } from '../../src/base/ids.ts';
import { pageTableRoots } from './guest.ts';

const LOG = '/run/out/daemon.log';
/** What the daemon follows. */
export const CONFIG = '/run/tmp/followed';

/** Runs systemctl and returns what it says. */
export function systemctl(...args: readonly string[]): string {
  return execFileSync('systemctl', args, { encoding: 'utf8' });
}

/** A property of the unit. */
export function property(name: string): string {
  return systemctl('show', '--property', name, '--value', 'autodomain').trim();
}

/** Writes the unit for the program below `root` and lets systemd read it. */
export function writeUnit(
  root: string,
  unit: readonly string[] = ['StartLimitIntervalSec=0'],
): void {
  mkdirSync(CONFIG, { recursive: true });
  const command = `watch ${CONFIG} --settle 50 --removal-grace 0 --resync 1000`;
  const text = [
    '[Unit]',
    'DefaultDependencies=no',
    ...unit,
    '[Service]',
    'Type=notify',
    `WorkingDirectory=${root}`,
    `ExecStart=${process.execPath} ${root}/bin/autodomain.cjs ${command}`,
    'Restart=always',
    'FileDescriptorStoreMax=32',
    'RuntimeDirectory=autodomain',
    'RuntimeDirectoryMode=0750',
    'RuntimeDirectoryPreserve=restart',
    'WatchdogSec=20',
    `StandardOutput=append:${LOG}`,
    `StandardError=append:${LOG}`,
  ];
  writeFileSync('/run/systemd/system/autodomain.service', `${text.join('\n')}\n`);
  systemctl('daemon-reload');
}

/** Everything that any of its lives has said. */
export function said(): string {
  try {
    return readFileSync(LOG, 'utf8');
  } catch {
    return '';
  }
}

/** Waits until `what` holds; throws with the end of the log where it does not within two minutes. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  for (const start = performance.now(); !holds(); ) {
    if (performance.now() - start > 120_000)
      throw new Error(`not ${what}:\n${said().slice(-3000)}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** The process that holds the lock; null: nobody has written its name there. */
export function ownerPid(): number | null {
  try {
    return (JSON.parse(readFileSync('/run/autodomain/lock', 'utf8')) as { pid: number }).pid;
  } catch {
    return null;
  }
}

/** Kills the daemon and waits until it is gone; returns its pid. */
export async function kill(signal: 'SIGKILL' | 'SIGSTOP' = 'SIGKILL'): Promise<number> {
  const pid = ownerPid();
  if (pid === null) throw new Error('nobody holds the lock');
  process.kill(pid, signal);
  if (signal === 'SIGKILL') await until('gone', () => !isAlive(pid));
  return pid;
}

/** Waits for a process other than `pid` that has found everything in order, or put it in order. */
export async function settledAfter(pid: number | null, from: number): Promise<void> {
  await until('settled', () => {
    const owner = ownerPid();
    if (owner === null || owner === pid) return false;
    return said().slice(from).includes('Nothing to do');
  });
}

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

const COMMAND_OFFSET = 4;
const BUS_MASTER = 0x04;

/**
 * What of a device must outlive its daemon: the page table that VT-d walks, and the bus master bit, which a
 * consumer sets and which every open, close and reset by vfio-pci clears. 6.12 logs no reset.
 */
export function lifeOf(devices: readonly Bdf[]): readonly string[] {
  const roots = pageTableRoots();
  return devices.map((bdf) => `${bdf} ${roots.get(bdf)} ${isBusMaster(bdf) ? 'master' : 'quiet'}`);
}

/** Sets the bus master bit, as a consumer does. */
export function startBusMaster(bdf: Bdf): void {
  const command = commandOf(bdf);
  withConfig(bdf, 'r+', (fd) =>
    writeSync(fd, Uint16Array.of(command | BUS_MASTER), 0, 2, COMMAND_OFFSET),
  );
}

function isBusMaster(bdf: Bdf): boolean {
  return (commandOf(bdf) & BUS_MASTER) !== 0;
}

function commandOf(bdf: Bdf): number {
  const word = new Uint16Array(1);
  withConfig(bdf, 'r', (fd) => readSync(fd, word, 0, 2, COMMAND_OFFSET));
  return word[0] ?? 0;
}

function withConfig(bdf: Bdf, flags: string, work: (fd: number) => void): void {
  const fd = openSync(`/sys/bus/pci/devices/${bdf}/config`, flags);
  try {
    work(fd);
  } finally {
    closeSync(fd);
  }
}
