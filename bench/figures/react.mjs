// How long an edit takes to reach the kernel, beyond the quiet time that the files must keep.
import { spawn } from 'node:child_process';
import { largeConfig, largeHost } from '../host.mjs';
import { hearing, watching } from '../watched.mjs';

const SETTLE_MS = 200;
const host = largeHost(10);
const configs = ['none', 'required'].map((mode) =>
  largeConfig(host).replace('"mode":"required"', `"mode":"${mode}"`),
);
const WATCHER =
  'require("fs").watch(process.argv[1], () => process.stderr.write("seen")); process.stderr.write("up")';

async function measure() {
  const options = ['--trace', '--settle', String(SETTLE_MS), '--resync', '600000'];
  const daemon = watching(host, configs[0], ...options);
  const stdio = ['ignore', 'ignore', 'pipe'];
  const watcher = hearing(spawn(process.execPath, ['-e', WATCHER, daemon.source], { stdio }));
  await daemon.says('Nothing to do');
  await watcher.says('up');
  const from = daemon.length();
  const seen = watcher.says('seen');
  const start = performance.now();
  daemon.write(configs[1]);
  const baseline = (await seen) - start;
  const value = (await daemon.says('trace: IOMMU_HWPT_ALLOC', from)) - start - SETTLE_MS;
  await Promise.all([daemon.end(), watcher.end()]);
  return { value, baseline };
}

export const figures = [
  {
    id: 'react',
    unit: 'ms',
    n: 9,
    what: 'from a write of the config to the first call that changes the kernel, without the quiet time',
    against: 'from the write to the file event in another Node',
    measure,
  },
];
