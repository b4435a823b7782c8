// Runs in the guest: brings NVMe functions into a container and out again, by our engine with every
// device at once and one after another, and by C both ways. The four take turns, so that a slow moment
// of the machine meets them all.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { applyPlan } from '../../dist/engine/apply.js';
import { observeHost, runContextOf } from '../../dist/engine/host.js';
import { MemoryJournal } from '../../dist/engine/journal.js';
import { allocIoas, openIommufd } from '../../dist/kernel/iommufd.js';
import { nativeSyscalls } from '../../dist/kernel/native/syscalls.js';
import { IOMMUFD_OPS, OPTION_HUGE_PAGES, OPTION_OP_GET } from '../../dist/kernel/uapi/iommufd.js';
import { planHost } from '../../dist/plan/planner.js';
import { verify } from '../../dist/plan/verify.js';
import { readConfig } from '../../dist/spec/read-config.js';
import { typedCallUs } from '../ioctl.mjs';

const RUNS = 5;
const PCI = '/sys/bus/pci/devices';
const OUT = process.env.LAB_OUT;

const nvmes = withClass('0x010802').map(bindVfio);
const [edu] = withId('0x1234', '0x11e8').map(bindVfio);
const figures = {};
for (const count of [1, 4, 16]) await convergeAndTeardown(count);
await ioctlOverhead();
writeFileSync(`${OUT}/figures.tmp`, JSON.stringify(figures));
renameSync(`${OUT}/figures.tmp`, `${OUT}/figures.json`);

async function convergeAndTeardown(count) {
  const devices = nvmes.slice(0, count);
  const config = configOf(devices.map(({ bdf }) => bdf));
  const cdevs = devices.map(({ cdev }) => cdev);
  const sides = {
    atOnce: () => ours(config, 16),
    oneByOne: () => ours(config, 1),
    cSerial: () => inC('serial', cdevs),
    cThreads: () => inC('threads', cdevs),
  };
  const runs = { atOnce: [], oneByOne: [], cSerial: [], cThreads: [] };
  for (const side of Object.values(sides)) await side();
  for (let run = 0; run < RUNS; run += 1) {
    for (const [name, side] of Object.entries(sides)) runs[name].push(await side());
  }
  const noReset = await inC('serial', [edu.cdev]);
  for (const way of ['converge', 'teardown']) {
    const of = (name) => runs[name].map((each) => each[way]);
    figures[`${way}-nvme-${count}`] = {
      values: of('atOnce').map(whole),
      baselines: of('oneByOne').map(whole),
      beside: { 'C serial': of('cSerial'), 'C threads': of('cThreads') },
      parts: {
        observe: of('atOnce').map(({ before }) => before),
        calls: of('atOnce').map(({ calls }) => calls),
        'calls one by one': of('oneByOne').map(({ calls }) => calls),
        verify: of('atOnce').map(({ after }) => after),
        [way === 'converge' ? 'C serial BIND' : 'C serial close']: runs.cSerial.map((each) =>
          way === 'converge' ? each.bind : each.close,
        ),
        [way === 'converge' ? 'BIND without a reset' : 'close without a reset']: [
          way === 'converge' ? noReset.bind : noReset.close,
        ],
      },
    };
  }
}

function whole({ before, calls, after }) {
  return before + calls + after;
}

/** One attempt of ours from nothing to verified, and back to nothing. */
async function ours(config, parallel) {
  const host = {
    syscalls: nativeSyscalls(),
    journal: new MemoryJournal(),
    known: { iommus: new Map(), tracking: new Map() },
    clock: {
      now: () => performance.now(),
      sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    },
    hostName: null,
    ownPid: process.pid,
  };
  const converge = await attempt(host, config, parallel);
  const teardown = await attempt(host, { containers: [] }, parallel);
  if (host.journal.contexts().length > 0) throw new Error('something is left');
  return { converge, teardown };
}

async function attempt(host, config, parallel) {
  const start = performance.now();
  const options = { removals: 'now', removalsAllowed: 64, confirmed: [] };
  const plan = planHost(config, observeHost(host).graph, options);
  const planned = performance.now();
  const { cells } = await applyPlan(plan, runContextOf(host), { parallel });
  const applied = performance.now();
  const drift = verify(plan.expects, observeHost(host).graph);
  const end = performance.now();
  if (
    plan.blocked.length > 0 ||
    cells.some(({ result }) => result !== 'applied') ||
    drift.length > 0
  )
    throw new Error(JSON.stringify({ blocked: plan.blocked, cells, drift }));
  return { before: planned - start, calls: applied - planned, after: end - applied };
}

async function inC(mode, cdevs) {
  const said = JSON.parse(
    execFileSync(`${OUT}/c/converge`, [mode, ...cdevs], { encoding: 'utf8' }),
  );
  return {
    converge: said.convergeMs,
    teardown: said.teardownMs,
    bind: said.bindMs,
    close: said.closeMs,
  };
}

/** IOMMU_OPTION on an IOAS: a pure read that changes nothing. */
async function ioctlOverhead() {
  const syscalls = nativeSyscalls();
  const fd = openIommufd(syscalls);
  const fields = {
    option_id: OPTION_HUGE_PAGES,
    op: OPTION_OP_GET,
    object_id: allocIoas(syscalls, fd),
  };
  const values = [];
  const baselines = [];
  await typedCallUs(syscalls, fd, IOMMUFD_OPS.IOMMU_OPTION, fields, 20_000);
  for (let run = 0; run < RUNS; run += 1) {
    const said = execFileSync(`${OUT}/c/ioctl`, ['option', '20000'], { encoding: 'utf8' });
    const baseline = Number(said) / 1000;
    baselines.push(baseline);
    const typed = await typedCallUs(syscalls, fd, IOMMUFD_OPS.IOMMU_OPTION, fields, 20_000);
    values.push(typed - baseline);
  }
  figures['iommufd-ioctl-overhead'] = { values, baselines };
}

function configOf(bdfs) {
  const text = JSON.stringify({
    apiVersion: 'autodomain.dev/v1alpha1',
    kind: 'Container',
    metadata: { name: 'bench' },
    spec: { devices: bdfs.map((pci) => ({ pci })) },
  });
  const { config } = readConfig([{ path: 'bench.yaml', bytes: new TextEncoder().encode(text) }]);
  if (config === null) throw new Error('the config of the benchmark is not valid');
  return config;
}

function withClass(pciClass) {
  return readdirSync(PCI)
    .filter((bdf) => read(bdf, 'class') === pciClass)
    .sort();
}

function withId(vendor, device) {
  return readdirSync(PCI).filter(
    (bdf) => read(bdf, 'vendor') === vendor && read(bdf, 'device') === device,
  );
}

/** Puts a function on vfio-pci; gives its address and its device file. */
function bindVfio(bdf) {
  try {
    writeFileSync(`${PCI}/${bdf}/driver/unbind`, bdf);
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
  writeFileSync(`${PCI}/${bdf}/driver_override`, 'vfio-pci');
  writeFileSync('/sys/bus/pci/drivers/vfio-pci/bind', bdf);
  const [cdev] = readdirSync(`${PCI}/${bdf}/vfio-dev`);
  return { bdf, cdev };
}

function read(bdf, name) {
  return readFileSync(`${PCI}/${bdf}/${name}`, 'utf8').trim();
}
