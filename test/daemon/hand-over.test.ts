/** The hand-over: real sockets and real files on one side, consumers over a simulated host on the other. */
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Bdf } from '../../src/base/ids.ts';
import { mayHave } from '../../src/daemon/hand-over/access.ts';
import { receiveHandOver } from '../../src/daemon/hand-over/client.ts';
import {
  type ConsumerEvent,
  Consumers,
  type Handed,
} from '../../src/daemon/hand-over/consumers.ts';
import {
  describe as describeContainer,
  type Refusal,
} from '../../src/daemon/hand-over/protocol.ts';
import { HandOverSocket } from '../../src/daemon/hand-over/server.ts';
import type { LoopView } from '../../src/daemon/loop.ts';
import { peerOf } from '../../src/kernel/native/peer.ts';
import { unixCalls } from '../../src/kernel/native/unix.ts';
import type { Fd } from '../../src/kernel/port.ts';
import { configOf, hostIn, World } from '../support/world.ts';

const A = '0000:01:00.0' as Bdf;

function fdOf(socket: Socket): Fd {
  return (socket as unknown as { _handle: { fd: number } })._handle.fd as Fd;
}

describe('the hand-over socket', () => {
  let dir: string;
  let socket: HandOverSocket;
  let answer: (container: string, pid: number) => Promise<Handed | Refusal>;

  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'autodomain-desk-'));
    socket = new HandOverSocket({
      path: join(dir, 'desk/socket'),
      consumers: { handOver: (container, pid) => answer(container, pid) },
      peerOf,
      sendWithFds: (to, bytes, fds) => unixCalls.sendWithFds(fdOf(to), bytes, fds),
      limits: { connectionsPerUser: 4, requestMs: 300 },
    });
    await socket.listen();
  });

  afterEach(async () => {
    await socket.close();
    rmSync(dir, { recursive: true });
  });

  const receive = (container: string) =>
    receiveHandOver({
      path: join(dir, 'desk/socket'),
      container,
      timeoutMs: 2000,
      receive: (from) => unixCalls.receiveWithFds(fdOf(from)),
    });

  function handed(texts: readonly string[]): Handed {
    const fds = texts.map((text, index) => {
      writeFileSync(join(dir, `${index}`), text);
      return openSync(join(dir, `${index}`), 'r');
    });
    const held = {
      name: 'x',
      fd: fds[0] ?? -1,
      consumers: [],
      containers: [
        { name: 'blue', ioas: 1, allow: [], hugePages: true, deletion: 'allow', hwpts: [] },
      ],
      devices: fds.slice(1).map((fd) => ({ key: A, fd, devId: 3, pt: 1 })),
    };
    const described = describeContainer('node-7', held as never, 'blue');
    if (described === null) throw new Error('the container is there');
    return { ...described, forget: async () => undefined };
  }

  it('gives the files themselves, and says which is what', async () => {
    answer = async (container, pid) => {
      expect([container, pid]).toEqual(['blue', process.pid]);
      return handed(['the context', 'the device']);
    };
    const got = await receive('blue');
    expect(got).toMatchObject({ container: 'blue', ioas: 1, devices: [{ pci: A, devId: 3 }] });
    expect(readFileSync(got.iommufd, 'utf8')).toBe('the context');
    expect(readFileSync(got.devices[0]?.fd ?? -1, 'utf8')).toBe('the device');
  });

  it('says why there is nothing, with what to do', async () => {
    answer = async () => ({
      formatVersion: '1.0',
      kind: 'Refusal',
      reason: 'not-ready',
      message: 'it is not ready',
      remedy: 'wait',
    });
    await expect(receive('blue')).rejects.toMatchObject({ code: 'refused', remedy: 'wait' });
  });

  it.each([
    ['garbage', '\u0000\u0001garbage\n'],
    ['a line without an end', 'x'.repeat(10_000)],
    ['another version', '{"formatVersion":"2.0","kind":"HandOverRequest","container":"blue"}\n'],
    ['silence', ''],
  ])('ends a connection that sends %s, and goes on', async (_name, text) => {
    answer = async () => handed(['a', 'b']);
    const bad = connect(join(dir, 'desk/socket'));
    bad.on('error', () => undefined);
    if (text !== '') bad.write(text);
    bad.resume();
    await new Promise((resolve) => bad.once('close', resolve));
    expect((await receive('blue')).devices).toHaveLength(1);
  });

  it('lets one user have only so many connections', async () => {
    answer = async () => handed(['a', 'b']);
    const many = Array.from({ length: 20 }, () => connect(join(dir, 'desk/socket')));
    for (const each of many) each.on('error', () => undefined).resume();
    await Promise.all(many.map((each) => new Promise((resolve) => each.once('close', resolve))));
    expect((await receive('blue')).devices).toHaveLength(1);
  });

  it('asks whoever has a container to let a device go', async () => {
    answer = async () => handed(['a', 'b']);
    const consumer = connect(join(dir, 'desk/socket'));
    let heard = '';
    consumer.on('data', (chunk) => {
      heard += chunk.toString();
    });
    consumer.write('{"formatVersion":"1.0","kind":"HandOverRequest","container":"blue"}\n');
    while (!heard.includes('HandOver')) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(socket.askForRelease('blue', A)).toBe(true);
    expect(socket.askForRelease('red', A)).toBe(false);
    while (!heard.includes('ReleaseRequest'))
      await new Promise((resolve) => setTimeout(resolve, 5));
    consumer.destroy();
  });
});

describe('who may have a container', () => {
  const accounts = {
    nameOf: async (kind: 'user' | 'group', id: number) =>
      kind === 'user' && id === 107 ? 'qemu' : kind === 'group' && id === 36 ? 'kvm' : null,
  };
  it.each([
    [{ uid: 0, gids: [0] }, { users: [], groups: [] }, true],
    [{ uid: 107, gids: [107] }, { users: ['qemu'], groups: [] }, true],
    [{ uid: 107, gids: [107] }, { users: ['107'], groups: [] }, true],
    [{ uid: 107, gids: [107, 36] }, { users: [], groups: ['kvm'] }, true],
    [{ uid: 107, gids: [107] }, { users: ['libvirt'], groups: ['kvm'] }, false],
    [{ uid: 108, gids: [36] }, { users: ['qemu'], groups: [] }, false],
  ])('%j of %j: %s', async (asking, access, may) => {
    expect(await mayHave(asking, access, accounts)).toBe(may);
  });
});

describe('consumers', () => {
  const CONFIG = configOf(
    JSON.stringify({
      apiVersion: 'autodomain.dev/v1alpha1',
      kind: 'Container',
      metadata: { name: 'blue' },
      spec: { devices: [{ pci: A }], access: { users: ['107'] } },
    }),
  );

  /** Consumers over a converged host, with a process table that the test writes. */
  async function rig() {
    const world = new World(hostIn('test/cases/host.yaml'));
    await world.apply(CONFIG);
    const processes = new Map<number, { start: string; uid: number }>();
    const { readText } = world.host.syscalls;
    const syscalls = {
      ...world.host.syscalls,
      readText(path: string) {
        const [, pid, file] = /^\/proc\/([0-9]+)\/(stat|status|comm)$/.exec(path) ?? [];
        const found = pid === undefined ? undefined : processes.get(Number(pid));
        if (found === undefined) return readText(path);
        if (file === 'comm') return 'qemu\n';
        if (file === 'stat') return `${pid} (a b) S ${'0 '.repeat(18)}${found.start} 0`;
        return `Uid:\t${found.uid}\t${found.uid}\t0\t0\nGid:\t9\t9\t9\t9\nGroups:\t9 36\n`;
      },
    };
    const ends = new Map<number, () => void>();
    const events: ConsumerEvent[] = [];
    let work: Promise<unknown> = Promise.resolve();
    const { graph, plan } = world.plan(CONFIG);
    const view = {
      loaded: { config: CONFIG },
      graph,
      plan,
      judgements: new Map([['blue', { state: 'settled', drift: false }]]),
    } as unknown as LoopView;
    const make = (): Consumers =>
      new Consumers({
        host: { ...world.host, syscalls },
        accounts: { nameOf: async () => null },
        view: () => view,
        between: (task) => {
          const mine = work.then(task);
          work = mine;
          return mine;
        },
        watchExit(pid, onEnd) {
          if (!processes.has(pid)) return null;
          ends.set(pid, onEnd);
          return () => ends.delete(pid);
        },
        onChange: () => undefined,
        report: (event) => events.push(event),
      });
    const end = async (pid: number): Promise<void> => {
      processes.delete(pid);
      ends.get(pid)?.();
      await work;
      await work;
    };
    return { world, processes, events, make, end };
  }

  it('are refused where they may not, and learn nothing by it', async () => {
    const { make, processes } = await rig();
    processes.set(5, { start: '1', uid: 108 });
    const consumers = make();
    const refused = await consumers.handOver('blue', 5);
    const unknown = await consumers.handOver('nothing', 5);
    expect(refused).toMatchObject({ reason: 'not-allowed' });
    expect({ ...unknown, message: '' }).toEqual({ ...refused, message: '' });
    processes.set(6, { start: '1', uid: 0 });
    expect(await consumers.handOver('nothing', 6)).toMatchObject({ reason: 'no-such-container' });
  });

  it('have the context until they end; then it comes back whole', async () => {
    const { world, make, processes, events, end } = await rig();
    processes.set(5, { start: '1', uid: 107 });
    const handed = await make().handOver('blue', 5);
    expect(handed).toMatchObject({ answer: { container: 'blue', devices: [{ pci: A }] } });
    expect(world.host.journal.contexts()[0]?.consumers).toMatchObject([{ pid: 5 }]);
    await end(5);
    expect(world.host.journal.contexts()).toEqual([]);
    expect(events.map(({ kind }) => kind)).toEqual(['handed-out', 'taken-back']);
  });

  it('share a context, and the last one gives it back', async () => {
    const { world, make, processes, end } = await rig();
    const consumers = make();
    for (const pid of [5, 6]) {
      processes.set(pid, { start: '1', uid: 107 });
      await consumers.handOver('blue', pid);
    }
    await end(5);
    expect(world.host.journal.contexts()[0]?.consumers).toMatchObject([{ pid: 6 }]);
    await end(6);
    expect(world.host.journal.contexts()).toEqual([]);
  });

  it('leave their files to whoever still has them open', async () => {
    const { world, make, processes, events, end } = await rig();
    processes.set(5, { start: '1', uid: 107 });
    await make().handOver('blue', 5);
    processes.set(7, { start: '2', uid: 107 });
    const device = world.machine.hardware.devices.get(A);
    device?.holders.push({ pid: 7, comm: 'child', uid: 107 });
    await end(5);
    expect(world.host.journal.contexts()[0]?.consumers).toMatchObject([{ pid: 7, start: '2' }]);
    expect(events.at(-1)).toMatchObject({ kind: 'handed-on', to: [{ pid: 7 }] });
    device?.holders.pop();
    await end(7);
    expect(world.host.journal.contexts()).toEqual([]);
  });

  it('that ended while no daemon ran are found by the next one, also behind a reused pid', async () => {
    const { world, make, processes, end } = await rig();
    processes.set(5, { start: '1', uid: 107 });
    const first = make();
    await first.handOver('blue', 5);
    first.stop();
    processes.set(5, { start: '77', uid: 0 });
    make().start();
    await end(99);
    expect(world.host.journal.contexts()).toEqual([]);
  });
});
