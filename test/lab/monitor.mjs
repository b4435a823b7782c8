// QEMU's monitor for the guest: a request is a file `monitor-N.json` with a QMP command in the share for
// results, its answer a file `monitor-N.answer` beside it. One at a time, in the order of their numbers.
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const LOOK_EVERY_MS = 50;

/** Serves requests in `out` by the monitor at `socket`, which may not be there yet, until the returned function is called. */
export function serveMonitor(socket, out) {
  let qemu = null;
  let isBusy = false;
  const timer = setInterval(async () => {
    if (isBusy) return;
    isBusy = true;
    try {
      const [request] = readdirSync(out).filter(isRequest).filter(isOpen(out)).sort();
      if (request === undefined) return;
      qemu ??= await openMonitor(socket);
      const answer = await qemu.ask(JSON.parse(readFileSync(join(out, request), 'utf8')));
      const path = join(out, request.replace('.json', '.answer'));
      writeFileSync(`${path}.part`, JSON.stringify(answer));
      renameSync(`${path}.part`, path);
    } catch (error) {
      console.log(`lab: the monitor cannot be asked: ${error}`);
    } finally {
      isBusy = false;
    }
  }, LOOK_EVERY_MS);
  return () => {
    clearInterval(timer);
    qemu?.end();
  };
}

function isRequest(name) {
  return /^monitor-[0-9]+\.json$/.test(name);
}

function isOpen(out) {
  return (name) => !existsSync(join(out, name.replace('.json', '.answer')));
}

/** A monitor that is ready for commands. */
async function openMonitor(path) {
  const socket = connect(path);
  await once(socket, 'connect');
  const answers = [];
  createInterface({ input: socket }).on('line', (line) => {
    const message = JSON.parse(line);
    // A greeting and events come unasked.
    if ('return' in message || 'error' in message) answers.shift()?.(message);
  });
  const ask = (command) =>
    new Promise((resolve) => {
      answers.push(resolve);
      socket.write(`${JSON.stringify(command)}\n`);
    });
  await ask({ execute: 'qmp_capabilities' });
  return { ask, end: () => socket.destroy() };
}
