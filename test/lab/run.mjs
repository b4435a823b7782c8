// Boots a real kernel with a real iommufd in QEMU and runs the lab's suites inside it, once with
// VT-d and real PCI devices, once without an IOMMU for iommufd's selftest mock. QEMU's exit code
// says nothing: the verdict is what the guest wrote, and no verdict is a failure.
// `npm run test:lab -- vtd fuzz` boots one guest and runs one suite; LAB_SEED and LAB_SEQUENCES reach it.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const repo = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const TIMEOUT_MS = 8 * 60_000;

const COMMON =
  'quiet root=host rootfstype=9p rootflags=trans=virtio,version=9p2000.L,msize=1048576,cache=loose ro panic=-1';
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
    ],
  },
  mock: { append: 'intel_iommu=off', devices: [] },
};

process.exitCode = await main();

async function main() {
  const kernel = findKernel();
  requireProgram('qemu-system-x86_64', 'qemu-system-x86');
  requireProgram('busybox', 'busybox-static');
  if (!existsSync(join(repo, 'dist/cli/bin.js')))
    fail('dist is missing: run `npm run build` first');
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

function findKernel() {
  const given = process.env.AUTODOMAIN_LAB_KERNEL;
  if (given) {
    if (!existsSync(given)) fail(`AUTODOMAIN_LAB_KERNEL is ${given}, which is not there`);
    return given;
  }
  const cache = join(
    process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'),
    'autodomain',
    'lab-kernel',
  );
  const image = join(cache, 'arch/x86/boot/bzImage');
  if (!existsSync(image)) {
    console.log(`building the lab's kernel in ${cache} (about ten minutes, once)`);
    const built = spawnSync(join(repo, 'test/lab/build-kernel.sh'), [cache], { stdio: 'inherit' });
    if (built.status !== 0) fail('the kernel could not be built');
  }
  return image;
}

function requireProgram(program, debianPackage) {
  const found = (process.env.PATH ?? '').split(':').some((dir) => existsSync(join(dir, program)));
  if (!found) fail(`${program} is missing: apt-get install ${debianPackage}`);
}

function fail(message) {
  console.error(`lab: ${message}`);
  console.log('lab: 0 passed, 1 failed, 0 skipped');
  process.exit(1);
}

async function boot(name, kernel, suite) {
  const out = mkdtempSync(join(tmpdir(), `autodomain-lab-${name}-`));
  const { append, devices } = BOOTS[name];
  const args = [
    ...'-accel tcg,thread=multi -cpu max -smp 2 -m 3072 -display none -no-reboot -serial stdio -nic none'.split(
      ' ',
    ),
    ...['-machine', 'q35,kernel-irqchip=split', '-kernel', kernel],
    ...[
      '-append',
      `console=ttyS0 ${COMMON} init=${repo}/test/lab/init.sh ${append} lab.boot=${name} lab.repo=${repo} lab.node=${process.execPath} lab.suite=${suite}${passedOn()}`,
    ],
    ...devices.flatMap(([driver, options]) => ['-device', `${driver},${options}`]),
    ...share('host', '/', 'readonly=on,multidevs=remap'),
    ...share('out', out, 'multidevs=remap'),
  ];
  const start = Date.now();
  const console_ = await run(args);
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
  return ['SEED', 'SEQUENCES']
    .filter((name) => /^[0-9]+$/.test(process.env[`LAB_${name}`] ?? ''))
    .map((name) => ` lab.${name.toLowerCase()}=${process.env[`LAB_${name}`]}`)
    .join('');
}

function share(tag, path, options) {
  return [
    ...['-fsdev', `local,id=${tag},path=${path},security_model=none,${options}`],
    ...['-device', `virtio-9p-pci,fsdev=${tag},mount_tag=${tag}`],
  ];
}

function run(args) {
  return new Promise((resolve) => {
    const qemu = spawn('qemu-system-x86_64', args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    const timer = setTimeout(() => {
      text += '\nlab: the guest did not end in time\n';
      qemu.kill('SIGKILL');
    }, TIMEOUT_MS);
    qemu.stdout.on('data', (data) => (text += data));
    qemu.stderr.on('data', (data) => (text += data));
    qemu.on('close', () => {
      clearTimeout(timer);
      resolve(text);
    });
  });
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
