/**
 * The port with iommufd's selftest mock in the place of VFIO devices: a device file of the Host
 * document is a mock device of the real kernel. Bind makes it on a parking IOAS, attach and detach
 * replace what it is on, close unplugs it. sysfs comes from the document; contexts, IOASes, HWPTs and
 * dirty tracking are the kernel's own.
 */

import { call } from '../../src/kernel/call.ts';
import { type Fd, type IoctlArg, SyscallError, type Syscalls } from '../../src/kernel/port.ts';
import { Machine } from '../../src/kernel/sim/machine.ts';
import { decode, fieldOf, viewOf, writeField } from '../../src/kernel/struct.ts';
import { IOMMUFD_OPS } from '../../src/kernel/uapi/iommufd.ts';
import { VFIO_OPS } from '../../src/kernel/uapi/vfio.ts';
import type { HostDocument } from '../../src/spec/types.generated.ts';
import { testClock } from '../support/world.ts';
import { callMock } from './mock-call.ts';
import { MOCK_NO_DIRTY, MOCK_OPS } from './mock-uapi.ts';

interface MockDevice {
  readonly tracks: boolean;
  bound: { readonly iommufd: Fd; readonly stdev: number; readonly parking: number } | null;
}

const FIRST_MOCK_FD = 1_000_000;

/** The port over the running kernel with mock devices. */
export function mockSyscalls(native: Syscalls, host: HostDocument): Syscalls {
  const { syscalls: model } = new Machine(host, { clock: testClock() });
  const devices = new Map<Fd, MockDevice>();
  const parkings = new Map<Fd, number>();

  const open = (path: string): Fd => {
    const cdev = /^\/dev\/vfio\/devices\/(.+)$/.exec(path)?.[1];
    if (cdev === undefined) return native.open(path);
    const doc = host.spec.devices?.find((each) => each.cdev === cdev);
    if (!doc) throw new SyscallError('open', 'ENOENT', path);
    const group = host.spec.groups?.find(({ id }) => id === doc.group);
    const iommu = host.spec.iommus?.find(({ name }) => name === group?.iommu);
    const fd = (FIRST_MOCK_FD + devices.size) as Fd;
    devices.set(fd, { tracks: iommu?.dirtyTracking === true, bound: null });
    return fd;
  };

  const parkingOf = (iommufd: Fd): number => {
    const known = parkings.get(iommufd);
    if (known !== undefined) return known;
    const { out } = call(native, iommufd, IOMMUFD_OPS.IOMMU_IOAS_ALLOC, {});
    parkings.set(iommufd, out.out_ioas_id);
    return out.out_ioas_id;
  };

  const bind = (device: MockDevice, arg: IoctlArg): void => {
    const row = VFIO_OPS.VFIO_DEVICE_BIND_IOMMUFD;
    const iommufd = decode(row.struct, arg.bytes).iommufd as Fd;
    const parking = parkingOf(iommufd);
    const dev_flags = device.tracks ? 0 : MOCK_NO_DIRTY;
    const out = callMock(native, iommufd, MOCK_OPS.MOCK_DOMAIN_FLAGS, { id: parking, dev_flags });
    device.bound = { iommufd, stdev: out.stdev_id, parking };
    writeField(viewOf(arg.bytes), fieldOf(row.struct, 'out_devid'), out.idev_id);
  };

  const moveTo = (device: MockDevice, pt: number): number => {
    if (device.bound === null) throw new SyscallError('ioctl', 'EINVAL', 'mock');
    const { iommufd, stdev } = device.bound;
    return callMock(native, iommufd, MOCK_OPS.MOCK_DOMAIN_REPLACE, { id: stdev, pt_id: pt }).pt_id;
  };

  const ioctl = (fd: Fd, request: number, arg: IoctlArg): number => {
    const device = devices.get(fd);
    if (device === undefined) return native.ioctl(fd, request, arg);
    const attach = VFIO_OPS.VFIO_DEVICE_ATTACH_IOMMUFD_PT;
    switch (request) {
      case VFIO_OPS.VFIO_DEVICE_BIND_IOMMUFD.request:
        bind(device, arg);
        return 0;
      case attach.request: {
        const pt = moveTo(device, decode(attach.struct, arg.bytes).pt_id);
        writeField(viewOf(arg.bytes), fieldOf(attach.struct, 'pt_id'), pt);
        return 0;
      }
      case VFIO_OPS.VFIO_DEVICE_DETACH_IOMMUFD_PT.request:
        moveTo(device, device.bound?.parking ?? 0);
        return 0;
      default:
        throw new SyscallError('ioctl', 'ENOTTY', 'mock');
    }
  };

  return {
    ...model,
    open,
    ioctl,
    slow: {
      ioctl: async (fd, request, arg) =>
        devices.has(fd) ? ioctl(fd, request, arg) : native.slow.ioctl(fd, request, arg),
      async close(fd) {
        const device = devices.get(fd);
        if (device === undefined) return native.slow.close(fd);
        if (device.bound === null) return;
        const { iommufd, stdev } = device.bound;
        call(native, iommufd, IOMMUFD_OPS.IOMMU_DESTROY, { id: stdev });
        device.bound = null;
      },
      writeText: model.slow.writeText,
    },
  };
}
