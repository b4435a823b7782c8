// Boots a real kernel with a real iommufd in QEMU and runs the lab's suites inside it, once with
// VT-d and real PCI devices, once without an IOMMU for iommufd's selftest mock. QEMU's exit code
// says nothing: the verdict is what the guest wrote, and no verdict is a failure.
// `npm run test:lab -- vtd fuzz` boots one guest and runs one suite; LAB_SEED and LAB_SEQUENCES reach it.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { compileC } from '../../scripts/c-compiler.mjs';
import { labKernel, repo, runGuest } from './qemu.mjs';

/** More kills than the usual ones take longer. */
const TIMEOUT_MS = (process.env.LAB_KILLS ? 40 : 8) * 60_000;

const BOOTS = {
  vtd: {
    append: 'intel_iommu=on,sm_off',
    devices: [
      ['intel-iommu', 'intremap=on,caching-mode=off'],
      ['pcie-root-port', 'id=rp1,chassis=1,slot=1'],
      ['e1000e', 'bus=rp1'],
      ['pcie-root-port', 'id=rp2,chassis=2,slot=2'],
      ['pcie-pci-bridge', 'id=br1,bus=rp2'],
      ['edu', 'bus=br1,addr=1'],
      ['edu', 'bus=br1,addr=2'],
      ['nvme', 'serial=b,bus=br1,addr=3'],
      ['edu', 'addr=0x10'],
      ['edu', 'addr=0x11'],
      ['nvme', 'serial=a,addr=0x12'],
      ['pcie-root-port', 'id=rp3,chassis=3,slot=3'],
      ['pcie-pci-bridge', 'id=br2,bus=rp3'],
      ['edu', 'bus=br2,addr=1'],
      ['edu', 'bus=br2,addr=2'],
      ['pcie-root-port', 'id=rp4,chassis=4,slot=4'],
      ['nvme-subsys', 'id=ss0'],
      [
        'nvme',
        'serial=v,subsys=ss0,bus=rp4,sriov_max_vfs=4,sriov_vq_flexible=8,sriov_vi_flexible=4,max_ioqpairs=10,msix_qsize=10',
      ],
      // Empty slots, for devices that the guest asks for (slots.ts).
      ['pcie-root-port', 'id=hp1,chassis=5,slot=5,addr=0x18'],
      ['pcie-root-port', 'id=hp2,chassis=6,slot=6,addr=0x19'],
    ],
  },
  mock: { append: 'intel_iommu=off', devices: [] },
  // The real systemd as PID 1, which keeps the daemon's files while the daemon is killed.
  systemd: {
    append: 'intel_iommu=on,sm_off',
    devices: [
      ['intel-iommu', 'intremap=on,caching-mode=off'],
      ['edu', 'addr=0x10'],
      ['edu', 'addr=0x11'],
      ['nvme', 'serial=a,addr=0x12'],
      ['nvme', 'serial=b,addr=0x13'],
      ['pcie-root-port', 'id=rp1,chassis=1,slot=1'],
      ['pcie-pci-bridge', 'id=br1,bus=rp1'],
      ['edu', 'bus=br1,addr=1'],
      ['edu', 'bus=br1,addr=2'],
    ],
  },
};

process.exitCode = await main().catch(fail);

async function main() {
  const kernel = labKernel();
  const [only, suite = '*'] = process.argv.slice(2);
  const results = [];
  for (const name of Object.keys(BOOTS)) {
    if (only === undefined || only === name) results.push(await boot(name, kernel, suite));
  }
  const sum = (key) => results.reduce((total, result) => total + result[key], 0);
  const failed =
    sum('failed') + results.filter((result) => !result.verdict && result.failed === 0).length;
  console.log(`kernel: ${results.find((result) => result.uname)?.uname ?? 'unknown'}`);
  console.log(`lab: ${sum('passed')} passed, ${failed} failed, ${sum('skipped')} skipped`);
  return failed > 0 || sum('passed') === 0 ? 1 : 0;
}

/** The consumers in C, where the guest finds them: /run/out/c. */
function compilePrograms(out) {
  mkdirSync(join(out, 'c'));
  for (const file of readdirSync(join(repo, 'test/lab/c')))
    compileC(join(repo, 'test/lab/c', file), join(out, 'c', basename(file, '.c')));
}

/** Nothing ran: something is missing, and the message says what. */
function fail({ message }) {
  console.error(`lab: ${message}`);
  console.log('lab: 0 passed, 1 failed, 0 skipped');
  return 1;
}

async function boot(name, kernel, suite) {
  const out = mkdtempSync(join(tmpdir(), `autodomain-lab-${name}-`));
  compilePrograms(out);
  const { append, devices } = BOOTS[name];
  const words = `${append} lab.boot=${name} lab.suite=${suite}${passedOn()}`;
  const start = Date.now();
  const console_ = await runGuest({ kernel, append: words, devices, out, timeoutMs: TIMEOUT_MS });
  const verdict = readVerdict(out);
  const seconds = Math.round((Date.now() - start) / 1000);
  if (verdict === null || verdict.numFailedTests > 0 || verdict.success === false) {
    const kept = join(repo, 'test/lab/out');
    mkdirSync(kept, { recursive: true });
    writeFileSync(join(kept, `${name}.console`), console_);
    const log = read(join(out, 'vitest.log'));
    writeFileSync(join(kept, `${name}.log`), log);
    console.log(log || console_.slice(-4000));
    console.log(`lab ${name}: failed; the guest's console is in test/lab/out/${name}.console`);
  } else {
    for (const line of summary(verdict)) console.log(line);
    for (const [figure] of read(join(out, 'vitest.log')).matchAll(/figure: .*$/gm))
      console.log(`  ${figure}`);
  }
  const uname = read(join(out, 'uname')).trim();
  rmSync(out, { recursive: true, force: true });
  console.log(`lab ${name}: ${seconds} s`);
  return {
    verdict: verdict !== null && verdict.success !== false,
    uname,
    passed: verdict?.numPassedTests ?? 0,
    failed: verdict?.numFailedTests ?? 0,
    skipped: verdict?.numPendingTests ?? 0,
  };
}

/** Settings of the suites that the environment gives, for the kernel's command line. */
function passedOn() {
  return ['SEED', 'SEQUENCES', 'KILLS']
    .filter((name) => /^[0-9]+$/.test(process.env[`LAB_${name}`] ?? ''))
    .map((name) => ` lab.${name.toLowerCase()}=${process.env[`LAB_${name}`]}`)
    .join('');
}

function readVerdict(out) {
  try {
    const verdict = JSON.parse(readFileSync(join(out, 'verdict.json'), 'utf8'));
    return verdict.numTotalTests > 0 ? verdict : null;
  } catch {
    return null;
  }
}

function summary(verdict) {
  return verdict.testResults.flatMap((file) =>
    file.assertionResults.map((test) => `  ${test.status} ${test.fullName}`),
  );
}

function read(path) {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}
