// A guest in QEMU without KVM: which kernel it boots, how it is started, what it shares with us. The
// guest's root is ours, read-only; a folder of ours is its /run/out. What it does there is `init.sh`'s.
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serveMonitor } from './monitor.mjs';

export const repo = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

const COMMON =
  'console=ttyS0 quiet root=host rootfstype=9p rootflags=trans=virtio,version=9p2000.L,msize=1048576,cache=loose ro panic=-1 no_timer_check';

/** The kernel to boot, built on first use. Throws with what is missing and how to get it. */
export function labKernel() {
  requireProgram('qemu-system-x86_64', 'qemu-system-x86');
  requireProgram('busybox', 'busybox-static');
  if (!existsSync('/lib/systemd/systemd'))
    throw new Error('systemd is missing: apt-get install systemd');
  if (!existsSync(join(repo, 'dist/cli/bin.js')))
    throw new Error('dist is missing: run `npm run build` first');
  const given = process.env.AUTODOMAIN_LAB_KERNEL;
  if (given) {
    if (!existsSync(given))
      throw new Error(`AUTODOMAIN_LAB_KERNEL is ${given}, which is not there`);
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
    if (built.status !== 0) throw new Error('the kernel could not be built');
  }
  return image;
}

function requireProgram(program, debianPackage) {
  const found = (process.env.PATH ?? '').split(':').some((dir) => existsSync(join(dir, program)));
  if (!found) throw new Error(`${program} is missing: apt-get install ${debianPackage}`);
}

/** Boots a guest and waits until it powers off; resolves to what its console said. `append` is for its command line, `devices` are pairs of a driver and its options. */
export function runGuest({ kernel, append, devices, out, timeoutMs }) {
  // Programs in it may run without any privilege.
  chmodSync(out, 0o755);
  const machine =
    '-accel tcg,thread=multi -cpu max -smp 2 -m 3072 -display none -no-reboot -serial stdio -nic none -machine q35,kernel-irqchip=split';
  const words = `${COMMON} init=${repo}/test/lab/init.sh ${append} lab.repo=${repo} lab.node=${process.execPath}`;
  const args = [
    ...machine.split(' '),
    ...['-kernel', kernel, '-append', words],
    ...devices.flatMap(([driver, options]) => ['-device', `${driver},${options}`]),
    // Slots are served by the ports' own registers, which a guest can do without a driver (slots.ts).
    ...['-global', 'ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off'],
    ...['-qmp', `unix:${join(out, 'monitor.sock')},server=on,wait=off`],
    ...share('host', '/', 'readonly=on,multidevs=remap'),
    ...share('out', out, 'multidevs=remap'),
  ];
  return new Promise((resolve) => {
    const qemu = spawn('qemu-system-x86_64', args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const endMonitor = serveMonitor(join(out, 'monitor.sock'), out);
    let text = '';
    const timer = setTimeout(() => {
      text += '\nlab: the guest did not end in time\n';
      qemu.kill('SIGKILL');
    }, timeoutMs);
    qemu.stdout.on('data', (data) => (text += data));
    qemu.stderr.on('data', (data) => (text += data));
    qemu.on('close', () => {
      clearTimeout(timer);
      endMonitor();
      resolve(text);
    });
  });
}

function share(tag, path, options) {
  return [
    ...['-fsdev', `local,id=${tag},path=${path},security_model=none,${options}`],
    ...['-device', `virtio-9p-pci,fsdev=${tag},mount_tag=${tag}`],
  ];
}
