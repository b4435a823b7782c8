/** What a Host file may not say: a reference to nothing, a thing listed twice, a state that no kernel could be in. */
import type { IssueText, Path, SpecDocument } from './document.ts';
import type { SpecIssue } from './issues.ts';
import type {
  AttachmentDocument,
  BoundDocument,
  ContextDocument,
  HostDocument,
  LiveContainerDocument,
  PciDeviceDocument,
} from './types.generated.ts';

/** The contradictions of a Host document that has its shape. */
export function hostIssues(document: SpecDocument): readonly SpecIssue[] {
  const checker = new HostChecker(document);
  checker.hardware();
  checker.status();
  checker.faults();
  return checker.issues;
}

type Attached = AttachmentDocument | BoundDocument;

class HostChecker {
  readonly issues: SpecIssue[] = [];
  readonly #document: SpecDocument;
  readonly #host: HostDocument;
  readonly #devices = new Map<string, PciDeviceDocument>();
  readonly #mdevs = new Set<string>();
  readonly #groups = new Map<number, string | null>();
  readonly #iommus = new Map<string, boolean | undefined>();
  /** The context of each bound device, and of each group with a bound member. */
  readonly #boundIn = new Map<string, string>();
  readonly #groupIn = new Map<number, string>();
  readonly #groupOn = new Map<number, number>();

  constructor(document: SpecDocument) {
    this.#document = document;
    this.#host = document.value as HostDocument;
  }

  hardware(): void {
    const { spec } = this.#host;
    const once = { cdev: new Set<string>() };
    spec.iommus?.forEach((iommu, index) => {
      const path = ['spec', 'iommus', index, 'name'];
      if (this.#iommus.has(iommu.name)) this.#twice(path, `IOMMU ${iommu.name}`);
      this.#iommus.set(iommu.name, iommu.dirtyTracking);
    });
    spec.groups?.forEach((group, index) => {
      const path = ['spec', 'groups', index];
      if (this.#groups.has(group.id)) this.#twice([...path, 'id'], `group ${group.id}`);
      this.#groups.set(group.id, group.iommu ?? null);
      if (group.iommu !== undefined && !this.#iommus.has(group.iommu)) {
        this.#missing([...path, 'iommu'], `IOMMU ${group.iommu}`, 'spec.iommus');
      }
      group.reserved?.forEach((region, at) => {
        if (BigInt(region.start) <= BigInt(region.last)) return;
        this.#wrong([...path, 'reserved', at], 'the region ends before it begins');
      });
    });
    spec.devices?.forEach((device, index) => {
      this.#device(device, ['spec', 'devices', index], once.cdev);
    });
    spec.mdevs?.forEach((mdev, index) => {
      const path = ['spec', 'mdevs', index];
      if (this.#mdevs.has(mdev.uuid)) this.#twice([...path, 'uuid'], `mdev ${mdev.uuid}`);
      this.#mdevs.add(mdev.uuid);
      this.#cdev(mdev.cdev, path, once.cdev);
    });
    spec.holders?.forEach((holder, index) => {
      const path = ['spec', 'holders', index];
      if ((holder.device === undefined) === (holder.group === undefined)) {
        this.#wrong(path, 'a holder names either a device or a group');
      } else if (holder.device !== undefined && !this.#isDevice(holder.device)) {
        this.#missing([...path, 'device'], `device ${holder.device}`, 'spec.devices');
      } else if (holder.group !== undefined && !this.#groups.has(holder.group)) {
        this.#missing([...path, 'group'], `group ${holder.group}`, 'spec.groups');
      }
    });
  }

  status(): void {
    const names = new Set<string>();
    this.#host.status?.contexts?.forEach((context, index) => {
      const path = ['status', 'contexts', index];
      if (names.has(context.name)) this.#twice([...path, 'name'], `context ${context.name}`);
      names.add(context.name);
      this.#context(context, path);
    });
  }

  faults(): void {
    this.#host.simulation?.faults?.forEach((fault, index) => {
      const { errno, returnsAfterMs, neverReturns } = fault;
      const path = ['simulation', 'faults', index];
      if (errno === undefined && returnsAfterMs === undefined && neverReturns === undefined) {
        this.#wrong(path, 'a fault has an `errno`, or `returnsAfterMs`, or `neverReturns`');
      } else if (neverReturns && (errno ?? returnsAfterMs) !== undefined) {
        this.#wrong(path, 'a call that never returns has neither an errno nor a time');
      }
    });
  }

  #device(device: PciDeviceDocument, path: Path, cdevs: Set<string>): void {
    if (this.#devices.has(device.pci)) this.#twice([...path, 'pci'], `device ${device.pci}`);
    this.#devices.set(device.pci, device);
    if (device.group !== undefined && !this.#groups.has(device.group)) {
      this.#missing([...path, 'group'], `group ${device.group}`, 'spec.groups');
    }
    if ((device.pf === undefined) !== (device.vf === undefined)) {
      this.#wrong(path, '`pf` and `vf` belong together: both or neither');
    }
    if (device.cdev !== undefined && device.driver === undefined) {
      this.#wrong([...path, 'cdev'], 'a device without a driver has no device file');
    }
    this.#cdev(device.cdev, path, cdevs);
  }

  #cdev(cdev: string | undefined, path: Path, cdevs: Set<string>): void {
    if (cdev === undefined) return;
    if (cdevs.has(cdev)) this.#twice([...path, 'cdev'], `device file ${cdev}`);
    cdevs.add(cdev);
  }

  #context(context: ContextDocument, path: Path): void {
    const ids = new Set<number>();
    const takeId = (id: number, at: Path): void => {
      if (ids.has(id)) this.#twice(at, `id ${id} in context ${context.name}`);
      ids.add(id);
    };
    const names = new Set<string>();
    context.containers?.forEach((container, index) => {
      const at = [...path, 'containers', index];
      if (names.has(container.name)) this.#twice([...at, 'name'], `container ${container.name}`);
      names.add(container.name);
      takeId(container.ioas, [...at, 'ioas']);
      container.hwpts?.forEach((hwpt, number) => {
        takeId(hwpt.id, [...at, 'hwpts', number, 'id']);
      });
      container.attached?.forEach((attachment, number) => {
        const here = [...at, 'attached', number];
        takeId(attachment.devId, [...here, 'devId']);
        this.#bound(context, attachment, here);
        this.#attachment(container, attachment, here);
      });
    });
    context.bound?.forEach((bound, index) => {
      const at = [...path, 'bound', index];
      takeId(bound.devId, [...at, 'devId']);
      this.#bound(context, bound, at);
    });
  }

  /** A bound device exists, is on a VFIO driver, and its whole group is bound in one context only. */
  #bound(context: ContextDocument, bound: Attached, path: Path): void {
    const key = bound.pci ?? bound.mdev;
    if (key === undefined || (bound.pci !== undefined && bound.mdev !== undefined)) {
      this.#wrong(path, 'an entry names either `pci` or `mdev`');
      return;
    }
    if (!this.#isDevice(key)) {
      this.#missing(path, `device ${key}`, 'spec.devices and spec.mdevs');
      return;
    }
    if (this.#boundIn.has(key)) this.#twice(path, `device ${key} as bound`);
    this.#boundIn.set(key, context.name);
    const device = this.#devices.get(key);
    if (device === undefined) return;
    if (device.cdev === undefined) {
      this.#wrong(path, `${key} has no device file (\`cdev\`), so nobody can have bound it`);
    }
    if (device.group === undefined) {
      this.#wrong(path, `${key} has no IOMMU group, so nobody can have bound it`);
      return;
    }
    const other = this.#groupIn.get(device.group);
    if (other !== undefined && other !== context.name) {
      this.#wrong(path, `group ${device.group} of ${key} is bound in context ${other} already`);
    }
    this.#groupIn.set(device.group, context.name);
  }

  #attachment(container: LiveContainerDocument, attachment: AttachmentDocument, path: Path): void {
    const { to, pci } = attachment;
    if (pci === undefined) {
      if (to !== container.ioas) {
        this.#wrong([...path, 'to'], `an mdev attaches to the IOAS, which is ${container.ioas}`);
      }
      return;
    }
    const hwpt = container.hwpts?.find((each) => each.id === to);
    if (hwpt === undefined) {
      this.#missing([...path, 'to'], `HWPT ${to}`, `the hwpts of ${container.name}`);
      return;
    }
    const group = this.#devices.get(pci)?.group;
    if (group === undefined) return;
    const on = this.#groupOn.get(group);
    if (on !== undefined && on !== to) {
      this.#wrong([...path, 'to'], `group ${group} of ${pci} is on HWPT ${on} already`);
    }
    this.#groupOn.set(group, to);
    const tracks = this.#iommus.get(this.#groups.get(group) ?? '');
    if (hwpt.dirtyTracking !== 'none' && tracks === false) {
      this.#wrong([...path, 'to'], `HWPT ${to} tracks dirty pages, and the IOMMU of ${pci} cannot`);
    }
  }

  #isDevice(key: string): boolean {
    return this.#devices.has(key) || this.#mdevs.has(key);
  }

  #twice(path: Path, what: string): void {
    this.#add(path, {
      rule: 'AD4002',
      message: `${what} is listed twice`,
      remedy: 'keep one of them',
    });
  }

  #missing(path: Path, what: string, where: string): void {
    this.#add(path, {
      rule: 'AD4001',
      message: `${what} is not there`,
      remedy: `add it to ${where}, or correct the reference`,
    });
  }

  #wrong(path: Path, message: string): void {
    this.#add(path, {
      rule: 'AD4003',
      message,
      remedy:
        'correct one of the two facts; `autodomain snapshot` writes such a file from a machine',
    });
  }

  #add(path: Path, text: IssueText): void {
    this.issues.push(this.#document.issue(path, text));
  }
}
