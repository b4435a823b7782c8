/**
 * For every example and every case: the n-th system call of an apply fails, for every n, once with each
 * errno that this call can give. After each, the graph holds its invariants, what is held is what the
 * kernel has, and the next attempt converges.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { applyPlan } from '../../src/engine/apply.ts';
import { observeHost, runContextOf } from '../../src/engine/host.ts';
import { checkGraph } from '../../src/graph/check.ts';
import { holdingsOf } from '../../src/graph/query.ts';
import type { Graph } from '../../src/graph/types.ts';
import { SyscallError, type Syscalls } from '../../src/kernel/port.ts';
import type { MadeCall } from '../../src/kernel/sim/machine.ts';
import type { Config } from '../../src/spec/config.ts';
import type { HostDocument } from '../../src/spec/types.generated.ts';
import { leaksOf } from '../support/leaks.ts';
import { configIn, configOf, hostIn, shapeOf, World } from '../support/world.ts';
import { errnosOf, READ_ERRNOS } from './errnos.ts';

/** A host, what is applied to it beforehand, and what is applied while a call fails. */
interface Scene {
  readonly name: string;
  readonly host: HostDocument;
  readonly before: Config | null;
  readonly config: Config;
}

const CASES = 'test/cases';

function scenes(): readonly Scene[] {
  const cases = readdirSync(CASES).filter((name) => statSync(join(CASES, name)).isDirectory());
  return [
    ...readdirSync('examples').map((name) => ({
      name: `example ${name}`,
      host: hostIn(join('examples', name, 'host.yaml')),
      before: null,
      config: configIn(join('examples', name, 'config')),
    })),
    ...cases.map((name) => {
      const read = (file: string): Config =>
        configOf(readFileSync(join(CASES, name, file), 'utf8'));
      const before = existsSync(join(CASES, name, 'before.yaml')) ? read('before.yaml') : null;
      const host = hostIn(join(CASES, 'host.yaml'));
      return { name, host, before, config: read('config.yaml') };
    }),
  ];
}

async function prepared({ host, before }: Scene): Promise<World> {
  const world = new World(host);
  if (before) await world.apply(before);
  world.machine.calls.length = 0;
  return world;
}

/** Which container serves each device, whatever its HWPT. */
function servedBy(graph: Graph): unknown {
  return [...holdingsOf(graph)].map(([key, { context, device }]) => [
    key,
    context,
    device.attachment?.container,
  ]);
}

/** A port whose n-th read fails; `reads` counts them. */
class Reads {
  count = 0;
  readonly #failing: { readonly n: number; readonly errno: string } | null;

  constructor(failing: { readonly n: number; readonly errno: string } | null) {
    this.#failing = failing;
  }

  around(port: Syscalls): Syscalls {
    const counted =
      <T>(read: (path: string) => T) =>
      (path: string): T => {
        this.count += 1;
        const failing = this.#failing;
        if (failing?.n === this.count) throw new SyscallError('read', failing.errno, path);
        return read(path);
      };
    const { readText, readDir, readLink, realPath, stat } = port;
    return {
      ...port,
      readText: counted(readText),
      readDir: counted(readDir),
      readLink: counted(readLink),
      realPath: counted(realPath),
      stat: counted(stat),
    };
  }
}

/** Applies with one call failing, then applies again. */
async function withFault(scene: Scene, fault: Fault, goal: Graph): Promise<void> {
  const { of, n, errno } = fault;
  const world = await prepared(scene);
  const { plan } = world.plan(scene.config);
  if (of === 'call') world.machine.faults.failNth(n, errno);
  const reads = new Reads(of === 'read' ? { n, errno } : null);
  const syscalls = reads.around(world.host.syscalls);
  await applyPlan(plan, runContextOf({ ...world.host, syscalls }), { parallel: 4 });
  world.machine.faults.disarm();
  const where = `${of} ${n} gives ${errno}`;
  expect(leaksOf(world.machine, world.host.journal), where).toEqual([]);
  expect(checkGraph(observeHost(world.host).graph), where).toEqual([]);
  const again = await world.apply(scene.config);
  const stuck = again.result.cells.filter((cell) => cell.result !== 'applied');
  expect(stuck, where).toEqual([]);
  expect(again.drift, where).toEqual([]);
  // EINVAL of an attach says that the HWPT does not fit: the engine believes it and allocates another.
  const shape = errno === 'EINVAL' ? servedBy : shapeOf;
  expect(shape(again.after), where).toEqual(shape(goal));
}

interface Fault {
  readonly of: 'call' | 'read';
  readonly n: number;
  readonly errno: string;
}

/** Every fault of an apply: each changing call and each read, once with each errno it can give. */
async function faultsOf(scene: Scene): Promise<{ faults: readonly Fault[]; goal: Graph }> {
  const world = await prepared(scene);
  const { plan } = world.plan(scene.config);
  const before = world.machine.calls.length;
  const reads = new Reads(null);
  const syscalls = reads.around(world.host.syscalls);
  await applyPlan(plan, runContextOf({ ...world.host, syscalls }), { parallel: 4 });
  const calls: readonly MadeCall[] = world.machine.calls.slice(before);
  const { graph } = observeHost(world.host);
  const ofCalls = calls.flatMap(({ name }, index) =>
    errnosOf(name).map((errno) => ({ of: 'call' as const, n: index + 1, errno })),
  );
  const ofReads = Array.from({ length: reads.count }, (_, index) => index + 1).flatMap((n) =>
    READ_ERRNOS.map((errno) => ({ of: 'read' as const, n, errno })),
  );
  return { faults: [...ofCalls, ...ofReads], goal: graph };
}

const injected = { call: 0, read: 0 };

describe.each(scenes())('faults in $name', (scene) => {
  it('every errno of every call', async () => {
    const { faults, goal } = await faultsOf(scene);
    for (const fault of faults) {
      await withFault(scene, fault, goal);
      injected[fault.of] += 1;
    }
  }, 120_000);
});

afterAll(() => {
  process.stdout.write(`failed ${injected.call} calls and ${injected.read} reads\n`);
  expect(injected.call).toBeGreaterThan(1000);
  expect(injected.read).toBeGreaterThan(100);
});
