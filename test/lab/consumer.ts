/**
 * A consumer in Node, started by `autodomain exec`: does DMA with the `edu` function that it was given and
 * says in one line how many bytes differ. With `wait` it keeps its files until its input ends.
 */
import { readFileSync } from 'node:fs';
import type { IoasId } from '../../src/base/ids.ts';
import type { HandOver } from '../../src/daemon/hand-over/protocol.ts';
import { nativeSyscalls } from '../../src/kernel/native/syscalls.ts';
import type { Fd } from '../../src/kernel/port.ts';
import { Edu, mapMemory, pages, unmapMemory } from './edu.ts';

const IOVA = 0x1000000n;
const BYTES = 4000;

const text = process.env['AUTODOMAIN_HANDOVER'] ?? '';
const inFile = readFileSync(process.env['AUTODOMAIN_HANDOVER_FILE'] ?? '', 'utf8');
const got = JSON.parse(text) as HandOver;
const [device] = got.devices;
if (device === undefined || inFile !== text) throw new Error('no device was handed over');

const syscalls = nativeSyscalls();
const files = { iommufd: got.iommufd as Fd, ioas: got.ioas as IoasId };
const memory = pages(2);
for (let at = 0; at < BYTES; at += 1) memory[at] = (at * 7) & 0xff;
await mapMemory(syscalls, files, memory, IOVA);
const edu = new Edu(syscalls, device.fd as Fd);
await edu.transfer('from-memory', IOVA, BYTES);
await edu.transfer('to-memory', IOVA + 4096n, BYTES);
let differ = 0;
for (let at = 0; at < BYTES; at += 1) if (memory[at] !== memory[4096 + at]) differ += 1;
process.stdout.write(`node: uid ${process.getuid?.()}, ${BYTES} bytes, ${differ} differ\n`);
if (process.argv[2] === 'wait') {
  process.stdin.resume();
  await new Promise((resolve) => process.stdin.once('end', resolve));
}
await unmapMemory(syscalls, files, memory, IOVA);
