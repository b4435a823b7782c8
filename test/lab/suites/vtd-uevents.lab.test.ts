/** What the kernel says about devices: its uevents, and its request for a device that somebody takes off its driver. */
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Bdf } from '../../../src/base/ids.ts';
import { openIommufd } from '../../../src/kernel/iommufd.ts';
import { openSignalLine } from '../../../src/kernel/native/eventfd.ts';
import { Poller } from '../../../src/kernel/native/poll.ts';
import { nativeSyscalls } from '../../../src/kernel/native/syscalls.ts';
import {
  listenToUevents,
  openUeventSocket,
  receiveUevents,
} from '../../../src/kernel/native/uevents.ts';
import { concernedBy, type KernelEvent } from '../../../src/kernel/uevent.ts';
import { armRequest, bindIommufd, disarmRequest, openDevice } from '../../../src/kernel/vfio.ts';
import { forgeUevent } from '../forge.ts';
import { bindVfio, createMdev, rootEdus, unbind } from '../guest.ts';
import { ended, slots, until, writing } from '../slots.ts';

const PCI = '/sys/bus/pci/devices';
const MDEV = '77777777-2222-3333-4444-555555555555';

const poller = new Poller();
let heard: KernelEvent[] = [];
let stop: () => void = () => undefined;
let edu: Bdf;

beforeAll(() => {
  [edu] = rootEdus() as [Bdf];
  unbind(edu);
  stop = listenToUevents(poller, (events) => heard.push(...events));
});

afterAll(async () => {
  await poller.close();
});

/** What was said of a device, in order, as `action subsystem`. */
function saidOf(device: string): readonly string[] {
  return heard.flatMap((event) =>
    event.kind === 'uevent' && event.uevent.device === device
      ? [`${event.uevent.action} ${event.uevent.subsystem}`]
      : [],
  );
}

async function says(device: string, expected: readonly string[]): Promise<void> {
  await until(`${expected.at(-1)} of ${device}`, () => saidOf(device).length >= expected.length);
  expect(saidOf(device)).toEqual(expected);
  heard = [];
}

describe('kernel uevents', () => {
  it('are those of the model for a bind, an unbind, and an mdev', async () => {
    heard = [];
    bindVfio(edu);
    await says(edu, ['add vfio-dev', 'bind pci']);
    unbind(edu);
    await says(edu, ['remove vfio-dev', 'unbind pci']);
    createMdev(MDEV);
    await says(MDEV, ['add mdev', 'add vfio-dev', 'bind mdev']);
    writeFileSync(`/sys/bus/mdev/devices/${MDEV}/remove`, '1');
    await says(MDEV, ['remove vfio-dev', 'unbind mdev', 'remove mdev']);
  });

  it('are not those that a process sends to the group of the kernel', async () => {
    heard = [];
    forgeUevent(`add@/devices/forged/${edu}`, 'pci');
    bindVfio(edu);
    await says(edu, ['add vfio-dev', 'bind pci']);
    unbind(edu);
    await says(edu, ['remove vfio-dev', 'unbind pci']);
  });
});

describe('the request interrupt', () => {
  it('comes at once and again after ten seconds; the file works on, and the unbind ends with its close', async () => {
    const kernel = nativeSyscalls();
    let asked = 0;
    const line = openSignalLine(poller, () => {
      asked += 1;
    });
    const cdev = bindVfio(edu);
    await says(edu, ['add vfio-dev', 'bind pci']);
    const iommufd = openIommufd(kernel);
    const device = openDevice(kernel, cdev);
    await bindIommufd(kernel, device, iommufd);
    armRequest(kernel, device, line.fd);
    const start = performance.now();
    const writer = writing(`/sys/bus/pci/drivers/vfio-pci/unbind`, edu);
    try {
      await until('request', () => asked > 0);
      const first = performance.now() - start;
      expect(saidOf(edu)).toEqual(['remove vfio-dev']);
      await new Promise((resolve) => setTimeout(resolve, 10_500));
      expect(asked, 'asked again').toBe(2);
      expect(writer.exitCode, 'the writer sleeps').toBeNull();
      disarmRequest(kernel, device);
      process.stdout.write(`figure: request after ${Math.round(first)} ms\n`);
    } finally {
      await kernel.slow.close(device);
      await kernel.slow.close(iommufd);
    }
    expect(await ended(writer)).toBe(0);
    await says(edu, ['remove vfio-dev', 'unbind pci']);
    line.close();
  });
});

describe('a slot', () => {
  it('takes a device in and gives it back, as uevents say', async () => {
    const [slot] = slots();
    heard = [];
    const device = await slot.plug('edu');
    await says(device, ['add pci']);
    bindVfio(device);
    await says(device, ['add vfio-dev', 'bind pci']);
    await slot.unplug();
    await says(device, ['remove vfio-dev', 'unbind pci', 'remove pci']);
    expect(await slot.plug('edu')).toBe(device);
    await slot.unplug();
  });
});

describe('a queue', () => {
  it('of uevents that nobody reads in time is one overflow, and then it goes on', () => {
    const fd = openUeventSocket();
    stop();
    for (let sent = 0; sent < 6000; sent += 1) writeFileSync(`${PCI}/${edu}/uevent`, 'change');
    const events: KernelEvent[] = [];
    for (let more = receiveUevents(fd); more.length > 0; more = receiveUevents(fd)) {
      events.push(...more);
    }
    expect(events.filter(({ kind }) => kind === 'overflow')).toHaveLength(1);
    expect(events.length).toBeLessThan(6000);
    expect(concernedBy(events)).toBeNull();
    writeFileSync(`${PCI}/${edu}/uevent`, 'change');
    expect(concernedBy(receiveUevents(fd))).toEqual([edu]);
  });
});
