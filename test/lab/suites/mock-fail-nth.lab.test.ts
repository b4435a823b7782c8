/**
 * Every injectable failure of every call of a converge and of a teardown, on the real iommufd. After
 * each: what the journal says is what the kernel has, and the next attempt gets there.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { observeHost } from '../../../src/engine/host.ts';
import { checkGraph } from '../../../src/graph/check.ts';
import { nativeSyscalls } from '../../../src/kernel/native/syscalls.ts';
import type { Fd } from '../../../src/kernel/port.ts';
import { FailNth } from '../fail-nth.ts';
import { HOST, MockWorld } from '../mock-world.ts';

const injection = new FailNth();
const PLACES_MAX = 200;

afterAll(() => injection.close());

const wanted = {
  devices: [{ pci: '0000:01:00.0' }, { pci: '0000:02:00.0' }],
  dirtyTracking: { mode: 'required', active: true },
};

async function converged(spec: object): Promise<MockWorld> {
  const world = new MockWorld(HOST, injection.around(nativeSyscalls()));
  injection.arm(-1, 0);
  await world.apply(spec);
  return world;
}

/** The next attempt arrives, nothing contradicts the journal, and the files close. */
async function recovers(world: MockWorld, spec: object, place: string): Promise<void> {
  injection.arm(-1, 0);
  const { graph } = observeHost(world.host);
  expect(checkGraph(graph), place).toEqual([]);
  const contradictions = [...graph.contexts.values()].flatMap((each) => each.contradictions);
  expect(contradictions, place).toEqual([]);
  const { result, drift } = await world.apply(spec);
  expect(
    result.cells.filter((cell) => cell.result !== 'applied'),
    place,
  ).toEqual([]);
  expect(drift, place).toEqual([]);
  for (const context of world.host.journal.contexts()) {
    for (const { fd } of context.devices) await world.host.syscalls.slow.close(fd as Fd);
    await world.host.syscalls.slow.close(context.fd as Fd);
  }
}

async function sweep(before: object, spec: object): Promise<number> {
  let failures = 0;
  for (let call = 0; ; call += 1) {
    let calls = 0;
    for (let nth = 1; nth <= PLACES_MAX; nth += 1) {
      const world = await converged(before);
      injection.arm(call, nth);
      await world.apply(spec);
      calls = injection.calls;
      const { reached } = injection;
      await recovers(world, spec, `call ${call}, place ${nth}`);
      if (!reached) break;
      failures += 1;
    }
    if (call >= calls) return failures;
  }
}

describe('every injected failure', () => {
  it('of a converge is survived', async () => {
    const failures = await sweep({}, wanted);
    console.log(`figure: converge, ${failures} injected failures`);
    expect(failures).toBeGreaterThan(20);
  });

  it('of an edit from none to required is survived', async () => {
    const failures = await sweep({ devices: wanted.devices }, wanted);
    console.log(`figure: edit, ${failures} injected failures`);
    expect(failures).toBeGreaterThan(10);
  });

  it('of a teardown is survived', async () => {
    const failures = await sweep(wanted, { state: 'absent' });
    console.log(`figure: teardown, ${failures} injected failures`);
    expect(failures).toBeGreaterThan(0);
  });
});
