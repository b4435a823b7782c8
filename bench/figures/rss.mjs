// How much memory the whole daemon takes on a model of a large host that it has converged, at rest and at most.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as after } from 'node:timers/promises';
import { largeConfig, largeHost } from '../host.mjs';
import { hearing, watching } from '../watched.mjs';

const REST_MS = 3000;
const host = largeHost(2048);
const config = largeConfig(host);

/** A field of /proc/PID/status, in MB. */
function memoryOf(pid, field) {
  const kib = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(
    readFileSync(`/proc/${pid}/status`, 'utf8'),
  );
  return (Number(kib?.[1]) * 1024) / 1e6;
}

async function emptyNode(field) {
  const program = 'process.stderr.write("up"); setInterval(() => undefined, 1e6)';
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'ignore', 'pipe'] });
  const heard = hearing(child);
  await heard.says('up');
  const value = memoryOf(heard.pid, field);
  await heard.end();
  return value;
}

const figure = (id, field, what) => ({
  id,
  unit: 'MB',
  n: 3,
  what,
  against: 'an empty Node',
  async measure() {
    const daemon = watching(host, config, '--settle', '10', '--resync', '1000');
    await daemon.says('Nothing to do');
    await after(REST_MS);
    const value = memoryOf(daemon.pid, field);
    await daemon.end();
    return { value, baseline: await emptyNode(field) };
  },
});

export const figures = [
  figure(
    'rss-2048',
    'VmRSS',
    'memory of a daemon on a model of 2048 devices, model included, converged',
  ),
  figure('rss-peak-2048', 'VmHWM', 'the same at most, the start and the first attempt included'),
];
