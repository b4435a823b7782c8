/** Kernel uevents: what messages say, and the socket on the kernel that runs. */
import { closeSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { DeviceKey } from '../../src/base/ids.ts';
import { openUeventSocket, receiveUevents } from '../../src/kernel/native/uevents.ts';
import { concernedBy, type KernelEvent, parseUevent } from '../../src/kernel/uevent.ts';

const PCI = '/devices/pci0000:00/0000:00:1c.4/0000:05:00.0';
const MDEV = '/devices/virtual/mtty/mtty/83b8f4f2-509f-382f-3c1e-e6bfe0fa1001';

function message(
  action: string,
  devpath: string,
  subsystem: string,
  ...more: string[]
): Uint8Array {
  const texts = [
    `${action}@${devpath}`,
    `ACTION=${action}`,
    `DEVPATH=${devpath}`,
    `SUBSYSTEM=${subsystem}`,
    ...more,
    'SEQNUM=4711',
  ];
  return new TextEncoder().encode(`${texts.join('\0')}\0`);
}

function said(action: string, devpath: string, subsystem: string): KernelEvent {
  const uevent = parseUevent(message(action, devpath, subsystem));
  if (uevent === null) throw new Error('not a uevent');
  return { kind: 'uevent', uevent };
}

describe('a uevent', () => {
  it.each([
    ['bind', PCI, 'pci', '0000:05:00.0', null],
    ['remove', `${PCI}/vfio-dev/vfio3`, 'vfio-dev', '0000:05:00.0', 'vfio3'],
    ['add', `${MDEV}/vfio-dev/vfio11`, 'vfio-dev', MDEV.split('/').at(-1), 'vfio11'],
    ['add', MDEV, 'mdev', MDEV.split('/').at(-1), null],
    ['add', `${PCI}/net/eth0`, 'net', '0000:05:00.0', null],
    ['add', '/devices/virtual/iommu/dmar0', 'iommu', null, null],
    ['add', '/devices/virtual/vfio/12', 'vfio', null, null],
  ])('%s of %s is about what it says', (action, devpath, subsystem, device, cdev) => {
    const bytes = message(action, devpath, subsystem, 'DRIVER=vfio-pci');
    expect(parseUevent(bytes)).toEqual({ action, devpath, subsystem, device, cdev });
  });

  it.each([
    ['nothing', ''],
    ["udev's own", 'libudev\0\xfe\xed\xca\xfe'],
    ['no subsystem', `add@${PCI}\0ACTION=add\0DEVPATH=${PCI}\0`],
    ['a head that says something else', `add@/x\0ACTION=add\0DEVPATH=${PCI}\0SUBSYSTEM=pci\0`],
    ['no ends', `add@${PCI}`],
  ])('is not made of %s', (_what, text) => {
    expect(parseUevent(new TextEncoder().encode(text))).toBeNull();
  });

  it('never throws on bytes, whatever they are', () => {
    const whole = message('remove', PCI, 'pci');
    for (let cut = 0; cut < whole.length; cut += 1) {
      expect(parseUevent(whole.subarray(0, cut))?.subsystem ?? null).toBeOneOf([
        null,
        'p',
        'pc',
        'pci',
        '',
      ]);
      const bent = whole.slice();
      bent[cut] = 0xff;
      parseUevent(bent);
    }
  });
});

describe('what events concern', () => {
  const device = '0000:05:00.0' as DeviceKey;

  it('is each device once', () => {
    const events = [
      said('unbind', PCI, 'pci'),
      said('remove', `${PCI}/vfio-dev/vfio3`, 'vfio-dev'),
    ];
    expect(concernedBy(events)).toEqual([device]);
  });

  it('is nothing for other subsystems', () => {
    const events = [
      said('add', `${PCI}/net/eth0`, 'net'),
      said('add', '/devices/virtual/vfio/1', 'vfio'),
    ];
    expect(concernedBy(events)).toEqual([]);
  });

  it('may be any device where an IOMMU came, or where events were lost', () => {
    expect(concernedBy([said('add', '/devices/virtual/iommu/dmar0', 'iommu')])).toBeNull();
    expect(concernedBy([said('bind', PCI, 'pci'), { kind: 'overflow' }])).toBeNull();
  });
});

describe('the socket of this kernel', () => {
  it('opens without a privilege and has nothing to say at first', () => {
    const fd = openUeventSocket();
    expect(receiveUevents(fd)).toEqual([]);
    closeSync(fd);
    expect(() => receiveUevents(fd)).toThrow('EBADF');
  });
});
