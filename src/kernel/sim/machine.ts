/**
 * A simulated host: the model of a kernel behind the port. It has one process of interest, ours,
 * whose files are in `#files`; other processes appear only as holders.
 */
import type { Clock } from '../../base/clock.ts';
import type { DeviceKey } from '../../base/ids.ts';
import type { HeldContext, KnownFacts } from '../../graph/types.ts';
import type { HostDocument } from '../../spec/types.generated.ts';
import { type Fd, type IoctlArg, SyscallError, type Syscalls } from '../port.ts';
import { ALL_OPS, type OpName, opOf } from '../uapi/index.ts';
import { IOMMUFD_OPS } from '../uapi/iommufd.ts';
import type { Uevent } from '../uevent.ts';
import { isWriting } from './asking.ts';
import { type Quirks, unbind } from './device.ts';
import { driverWrites } from './drivers.ts';
import { Faults } from './faults.ts';
import { Frame } from './frame.ts';
import { buildHardware, createContext, type Hardware } from './hardware.ts';
import { knownFacts } from './known.ts';
import { Locks } from './locks.ts';
import type { SignalFile, SimContext, SimDevice } from './objects.ts';
import { IOMMUFD_HANDLERS, type IommufdHandler } from './ops-iommufd.ts';
import { COMMAND_OFFSET, VFIO_HANDLERS, type VfioHandler } from './ops-vfio.ts';
import { devices, procfs } from './procfs.ts';
import { restoreContexts } from './restore.ts';
import { type KernelOffers, sysfs } from './sysfs.ts';
import { dir, lookup, realPath, type TreeNode } from './tree.ts';

/** One system call that was made. */
export interface MadeCall {
  /** Name of the ioctl, or `open PATH`, `close`, `write PATH`. */
  readonly name: string;
  readonly device: DeviceKey | null;
  /** True where the call changes something in the kernel. */
  readonly writing: boolean;
}

/** How a machine is set up beyond its Host document. */
export interface MachineOptions {
  readonly clock: Clock;
  readonly failedReplaceDropsReserved?: boolean;
  /** Ioctls of a context beyond the tables, by request number: a kernel with its selftest has one. */
  readonly more?: ReadonlyMap<number, (context: SimContext, arg: IoctlArg) => void>;
}

type OpenFile =
  | { readonly type: 'context'; readonly context: SimContext }
  | { readonly type: 'device'; readonly device: SimDevice }
  | SignalFile;

/** A simulated host. */
export class Machine {
  readonly syscalls: Syscalls;
  /** What our process holds at the start, as a journal would have it. */
  readonly held: readonly HeldContext[];
  readonly known: KnownFacts;
  readonly faults: Faults;
  readonly hardware: Hardware;
  readonly clock: Clock;
  readonly calls: MadeCall[] = [];
  readonly #files = new Map<Fd, OpenFile>();
  readonly #tree: TreeNode;
  readonly #unreadable: ReadonlyMap<string, string>;
  readonly #quirks: Quirks;
  readonly #locks: Locks;
  readonly #offers: KernelOffers;
  readonly #more: NonNullable<MachineOptions['more']>;
  #lastFd = 2;
  #serial = 1000;

  constructor(host: HostDocument, options: MachineOptions) {
    this.hardware = buildHardware(host);
    this.clock = options.clock;
    this.known = knownFacts(host);
    this.faults = new Faults(host, options.clock);
    this.#more = options.more ?? new Map();
    this.#locks = new Locks(options.clock, host.simulation?.latencyMs ?? {});
    const features = new Set<string>(host.spec.kernel.features);
    this.#offers = {
      vfioPci: features.has('vfio-pci'),
      cdevs: features.has('vfio-cdev'),
      iommufd: features.has('iommufd'),
      unsafeInterrupts: features.has('unsafe-interrupts'),
      noIommu: features.has('noiommu'),
    };
    this.#quirks = {
      failedReplaceDropsReserved: options.failedReplaceDropsReserved ?? true,
      unsafeInterrupts: this.#offers.unsafeInterrupts,
    };
    this.#unreadable = new Map(
      (host.spec.unreadable ?? []).map(({ path, errno }) => [path, errno]),
    );
    const writes = driverWrites(this.hardware, this.#offers, options.clock);
    this.#tree = dir({
      sys: sysfs(this.hardware, this.#offers, writes),
      proc: procfs(host, this.hardware),
      dev: devices(this.hardware, this.#offers),
    });
    this.held = restoreContexts(host, this.hardware, {
      addContext: (context) => this.#addFile({ type: 'context', context }),
      addDevice: (device) => this.#addFile({ type: 'device', device }),
    });
    this.syscalls = this.#port();
  }

  /** Every context with an object or a file, for leak checks. */
  get contexts(): readonly SimContext[] {
    const contexts = new Set<SimContext>();
    for (const open of this.#files.values()) {
      if (open.type === 'context') contexts.add(open.context);
      else if (open.type === 'device' && open.device.bound) {
        contexts.add(open.device.bound.context);
      }
    }
    return [...contexts];
  }

  /** Contexts and device files that our process has open. */
  get openFiles(): number {
    return this.#files.size - this.openLines;
  }

  /** Eventfds that our process has open. */
  get openLines(): number {
    return [...this.#files.values()].filter(({ type }) => type === 'eventfd').length;
  }

  /** Calls made so far that change something. */
  get writingCalls(): readonly MadeCall[] {
    return this.calls.filter((call) => call.writing);
  }

  /** A device writes memory: recorded where tracking is on. False: nothing translates it, the DMA faults. */
  dmaWrite(key: DeviceKey, iova: bigint, length: bigint): boolean {
    const hwpt = this.hardware.devices.get(key)?.group?.hwpt;
    if (!hwpt) return false;
    if (hwpt.type === 'hwpt' && hwpt.tracking) {
      const { pageSize } = hwpt.iommu;
      for (let page = iova / pageSize; page <= (iova + length - 1n) / pageSize; page += 1n) {
        hwpt.dirtyPages.add(page);
      }
    }
    return true;
  }

  /**
   * Our process ends and another one begins: files that somebody keeps for it come back under new
   * numbers, the others are closed as the kernel closes them.
   */
  restart(kept: ReadonlySet<Fd>): ReadonlyMap<Fd, Fd> {
    const renumbered = new Map<Fd, Fd>();
    for (const [fd, open] of [...this.#files]) {
      this.#files.delete(fd);
      const { bound } = open.type === 'device' ? open.device : { bound: null };
      if (kept.has(fd)) {
        const now = this.#addFile(open);
        renumbered.set(fd, now);
        if (open.type === 'device' && bound?.fd === fd) open.device.bound = { ...bound, fd: now };
      } else if (open.type === 'context') open.context.files -= 1;
      else if (open.type === 'device' && bound?.fd === fd) unbind(open.device);
    }
    return renumbered;
  }

  /** An eventfd, and how to close it. A device that it is armed on keeps it; only nobody hears it any more. */
  openSignalLine(onSignal: () => void): { readonly fd: Fd; close(): void } {
    const fd: Fd = this.#addFile({
      type: 'eventfd',
      onSignal: () => {
        if (this.#files.has(fd)) onSignal();
      },
    });
    return { fd, close: () => this.#files.delete(fd) };
  }

  /** Hears the kernel's uevents until the returned function is called. */
  listen(listener: (uevent: Uevent) => void): () => void {
    const { listeners } = this.hardware;
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  #addFile(open: OpenFile): Fd {
    this.#lastFd += 1;
    const fd = this.#lastFd as Fd;
    this.#files.set(fd, open);
    return fd;
  }

  #port(): Syscalls {
    return {
      open: (path) => this.#open(path),
      ioctl: (fd, request, arg) => this.#ioctl(fd, request, arg),
      readAt: (fd, offset, lengthBytes) => {
        const { device, bytes } = this.#region(fd, lengthBytes);
        if (offset === COMMAND_OFFSET) bytes.setUint16(0, device.command, true);
        return new Uint8Array(bytes.buffer);
      },
      writeAt: (fd, offset, bytes) => {
        const { device } = this.#region(fd, bytes.length);
        this.#note('pwrite', device.key, true);
        if (offset !== COMMAND_OFFSET) return;
        device.command = new DataView(bytes.buffer, bytes.byteOffset).getUint16(0, true);
      },
      readText: (path) => {
        const node = this.#find(path, 'follow');
        if (node.type !== 'file') throw new SyscallError('read', 'EISDIR', path);
        return node.read();
      },
      readDir: (path) => {
        const node = this.#find(path, 'follow');
        if (node.type !== 'dir') throw new SyscallError('readdir', 'ENOTDIR', path);
        return node.names();
      },
      readLink: (path) => {
        const node = this.#find(path, 'keep');
        if (node.type !== 'link') throw new SyscallError('readlink', 'EINVAL', path);
        return node.target;
      },
      realPath: (path) => {
        this.#checkReadable(path);
        return realPath(this.#tree, path);
      },
      stat: (path) => {
        const node = this.#find(path, 'follow');
        const rdev = node.type === 'file' ? (node.rdev ?? null) : null;
        return { rdev, uid: 0, inode: node.type === 'dir' ? (node.inode?.() ?? 1) : 1 };
      },
      slow: {
        ioctl: (fd, request, arg) => this.#slowIoctl(fd, request, arg),
        close: (fd) => this.#close(fd),
        writeText: (path, text) => this.#write(path, text),
      },
    };
  }

  /** The model of a device file: its configuration space reads as zero, but for the command register. */
  #region(fd: Fd, lengthBytes: number): { readonly device: SimDevice; readonly bytes: DataView } {
    const open = this.#files.get(fd);
    if (open === undefined) throw new SyscallError('pread', 'EBADF', `fd ${fd}`);
    if (open.type !== 'device' || open.device.bound?.fd !== fd) {
      throw new SyscallError('pread', 'EINVAL', `fd ${fd}`);
    }
    return { device: open.device, bytes: new DataView(new ArrayBuffer(lengthBytes)) };
  }

  #find(path: string, last: 'follow' | 'keep'): TreeNode {
    this.#checkReadable(path);
    return lookup(this.#tree, path, last);
  }

  #checkReadable(path: string): void {
    const errno = this.#unreadable.get(path);
    if (errno !== undefined) throw new SyscallError('open', errno, path);
  }

  #open(path: string): Fd {
    this.#note(`open ${path}`, null, true);
    const cdev = /^\/dev\/vfio\/devices\/(.+)$/.exec(path)?.[1];
    if (path === '/dev/iommu' && this.#offers.iommufd) {
      this.#serial += 1;
      return this.#addFile({ type: 'context', context: createContext(this.#serial) });
    }
    for (const device of cdev === undefined ? [] : this.hardware.devices.values()) {
      if (device.cdev === cdev && device.present) return this.#addFile({ type: 'device', device });
    }
    throw new SyscallError('open', 'ENOENT', path);
  }

  #ioctl(fd: Fd, request: number, arg: IoctlArg): number {
    const open = this.#files.get(fd);
    if (open === undefined) throw new SyscallError('ioctl', 'EBADF', `fd ${fd}`);
    const op = opOf(request);
    const name = (op?.name ?? `ioctl 0x${request.toString(16)}`) as OpName;
    const isOurs = op !== null && (open.type === 'context') === Object.hasOwn(IOMMUFD_OPS, name);
    this.#note(name, this.#deviceOf(open, arg, name), isOurs && isWriting(name, arg));
    if (open.type === 'eventfd') throw new SyscallError('ioctl', 'ENOTTY', name);
    if (open.type === 'context') {
      const beyond = this.#more.get(request);
      if (beyond !== undefined) {
        beyond(open.context, arg);
        return 0;
      }
      if (!isOurs) throw new SyscallError('ioctl', 'ENOTTY', name);
      const handlers: Readonly<Record<string, IommufdHandler>> = IOMMUFD_HANDLERS;
      handlers[name]?.(open.context, new Frame(ALL_OPS[name], arg));
      return 0;
    }
    const bound = open.device.bound?.fd === fd;
    if (!bound && name !== 'VFIO_DEVICE_BIND_IOMMUFD') {
      throw new SyscallError('ioctl', 'EINVAL', name);
    }
    if (!isOurs) throw new SyscallError('ioctl', 'ENOTTY', name);
    const handlers: Readonly<Record<string, VfioHandler>> = VFIO_HANDLERS;
    const frame = new Frame(ALL_OPS[name], arg);
    const call = {
      device: open.device,
      fd,
      quirks: this.#quirks,
      contextOf: this.#contextOf,
      signalOf: this.#signalOf,
    };
    handlers[name]?.(call, frame);
    return 0;
  }

  /** The device that a call is about, an allocation among them, so that a fault can name it. */
  #deviceOf(open: OpenFile, arg: IoctlArg, name: string): DeviceKey | null {
    if (open.type === 'device') return open.device.key;
    if (open.type !== 'context' || name !== 'IOMMU_HWPT_ALLOC') return null;
    const id = new DataView(arg.bytes.buffer, arg.bytes.byteOffset).getUint32(8, true);
    const object = open.context.objects.get(id);
    return object?.type === 'device' ? object.device.key : null;
  }

  readonly #contextOf = (fd: number): SimContext => {
    const open = this.#files.get(fd as Fd);
    if (open === undefined) throw new SyscallError('ioctl', 'EBADF', `fd ${fd}`);
    if (open.type !== 'context') throw new SyscallError('ioctl', 'EBADFD', `fd ${fd}`);
    return open.context;
  };

  readonly #signalOf = (fd: number): SignalFile => {
    const open = this.#files.get(fd as Fd);
    if (open === undefined) throw new SyscallError('ioctl', 'EBADF', `fd ${fd}`);
    if (open.type !== 'eventfd') throw new SyscallError('ioctl', 'EINVAL', `fd ${fd}`);
    return open;
  };

  async #slowIoctl(fd: Fd, request: number, arg: IoctlArg): Promise<number> {
    const open = this.#files.get(fd);
    const lane = open?.type === 'device' ? open.device.devSet : `context ${fd}`;
    const name = opOf(request)?.name ?? '';
    const device = open === undefined ? null : this.#deviceOf(open, arg, name);
    const held = (): Promise<void> => this.faults.hold(name, device);
    return this.#locks.run(lane, name, held, () => this.#ioctl(fd, request, arg));
  }

  async #close(fd: Fd): Promise<void> {
    const open = this.#files.get(fd);
    const bound = open?.type === 'device' && open.device.bound?.fd === fd;
    const lane = open?.type === 'device' ? open.device.devSet : `context ${fd}`;
    const device = open?.type === 'device' ? open.device.key : null;
    const held = (): Promise<void> => this.faults.hold('close', device);
    await this.#locks.run(lane, bound ? 'close' : '', held, () => {
      this.#note('close', device, true);
      if (open === undefined) throw new SyscallError('close', 'EBADF', `fd ${fd}`);
      this.#files.delete(fd);
      if (open.type === 'context') open.context.files -= 1;
      else if (open.type === 'device' && bound) unbind(open.device);
      return 0;
    });
  }

  async #write(path: string, text: string): Promise<void> {
    const command = /^\/sys\/bus\/pci\/drivers\/[^/]+\/(bind|unbind)$/.exec(path)?.[1];
    await this.faults.hold(command ?? '', text.trim());
    this.calls.push({ name: `write ${path}`, device: null, writing: true });
    this.faults.check(command ?? `write ${path}`, text.trim());
    const node = this.#find(path, 'follow');
    if (node.type !== 'file' || node.write === undefined) {
      throw new SyscallError('open', 'EACCES', path);
    }
    return node.write(text);
  }

  #note(name: string, device: DeviceKey | null, writing: boolean): void {
    this.calls.push({ name, device, writing });
    this.faults.check(name, device);
  }
}
