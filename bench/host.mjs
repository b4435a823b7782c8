// A large simulated host: virtual functions, each in its group, behind four IOMMUs of one kind.

/** A Host document with so many functions on vfio-pci. */
export function largeHost(count) {
  const hex = (value, digits) => value.toString(16).padStart(digits, '0');
  const bdf = (index) =>
    `${hex(1 + (index >> 16), 4)}:${hex((index >> 8) & 0xff, 2)}:${hex((index >> 3) & 0x1f, 2)}.${index & 7}`;
  const msi = [{ start: '0xfee00000', last: '0xfeefffff', type: 'msi' }];
  const each = (make) => Array.from({ length: count }, (_, index) => make(index));
  return {
    apiVersion: 'autodomain.dev/v1alpha1',
    kind: 'Host',
    metadata: { name: 'large' },
    spec: {
      kernel: { release: '6.12.0', features: ['iommufd', 'vfio-cdev', 'vfio-pci'] },
      iommus: [0, 1, 2, 3].map((unit) => ({
        name: `dmar${unit}`,
        type: 'intel',
        addressWidth: 48,
        coherentWalk: true,
        snoopControl: true,
        dirtyTracking: true,
        nesting: true,
        pageSizes: ['4KiB', '2MiB'],
        msiIsolated: true,
      })),
      groups: each((index) => ({ id: index + 1, iommu: `dmar${index % 4}`, reserved: msi })),
      devices: each((index) => ({
        pci: bdf(index),
        group: index + 1,
        vendor: '8086',
        device: '1889',
        class: '020000',
        pf: bdf(index & ~63),
        vf: index & 63,
        driver: 'vfio-pci',
        cdev: `vfio${index}`,
        reset: 'flr',
      })),
    },
  };
}

/** A config of containers with ten devices each, by name. */
export function largeConfig(host) {
  const { devices } = host.spec;
  const containers = [];
  for (let at = 0; at < devices.length; at += 10) {
    containers.push({
      apiVersion: 'autodomain.dev/v1alpha1',
      kind: 'Container',
      metadata: { name: `c${String(at / 10).padStart(5, '0')}` },
      spec: {
        dirtyTracking: { mode: 'required' },
        devices: devices.slice(at, at + 10).map(({ pci }) => ({ pci })),
      },
    });
  }
  return containers.map((each) => JSON.stringify(each)).join('\n---\n');
}

/** The host under management, in the model. */
export async function managed(document) {
  const { Machine } = await import('../dist/kernel/sim/machine.js');
  const { MemoryJournal } = await import('../dist/engine/journal.js');
  const clock = { now: () => performance.now(), sleep: async () => undefined };
  const { ObservationCache } = await import('../dist/kernel/observe-cache.js');
  const machine = new Machine(document, { clock });
  const host = {
    syscalls: machine.syscalls,
    journal: new MemoryJournal(machine.held),
    known: machine.known,
    cache: new ObservationCache(clock),
    clock,
    hostName: 'large',
    ownPid: 0,
  };
  return { machine, host };
}

/** A parsed config. */
export async function parsed(text) {
  const { readConfig } = await import('../dist/spec/read-config.js');
  const { config } = readConfig(splitFiles(text));
  if (config === null) throw new Error('the config of the benchmark is not valid');
  return config;
}

/** Files below the size that is read at most. */
function splitFiles(text) {
  const documents = text.split('\n---\n');
  const files = [];
  for (let at = 0; at < documents.length; at += 500) {
    const bytes = new TextEncoder().encode(documents.slice(at, at + 500).join('\n---\n'));
    files.push({ path: `c${at}.yaml`, bytes });
  }
  return files;
}
