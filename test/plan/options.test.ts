/** What a person's word changes: confirmed outages and deletions, allowed removals, and the grace of the watcher. */
import { describe, expect, it } from 'vitest';
import type { Config } from '../../src/spec/config.ts';
import { configOf, hostIn, World } from '../support/world.ts';

const A = { pci: '0000:01:00.0' };
const B = { pci: '0000:01:00.1' };
const N = { pci: '0000:02:00.0' };

function config(...containers: readonly (readonly [name: string, spec: object])[]): Config {
  return configOf(
    containers
      .map(([name, spec]) =>
        JSON.stringify({
          apiVersion: 'autodomain.dev/v1alpha1',
          kind: 'Container',
          metadata: { name },
          spec,
        }),
      )
      .join('\n---\n'),
  );
}

async function worldWith(
  ...containers: readonly (readonly [name: string, spec: object])[]
): Promise<World> {
  const world = new World(hostIn('test/cases/host.yaml'));
  const { drift, result } = await world.apply(config(...containers));
  expect([drift, result.cells.filter((cell) => cell.result !== 'applied')]).toEqual([[], []]);
  return world;
}

const kinds = (plan: { readonly steps: readonly { readonly kind: string }[] }): readonly string[] =>
  plan.steps.map((step) => step.kind);
const blockers = (plan: {
  readonly blocked: readonly { readonly kind: string }[];
}): readonly string[] => plan.blocked.map((blocker) => blocker.kind);

describe('a confirmed change of huge pages', () => {
  it('empties the container, sets the option, and fills it again', async () => {
    const world = await worldWith(['blue', { devices: [A, B] }]);
    const wanted = config(['blue', { devices: [A, B], iova: { hugePages: false } }]);
    expect(blockers(world.plan(wanted).plan)).toEqual(['huge-pages-needs-empty']);
    const { plan, drift, after } = await world.apply(wanted, { confirmed: ['blue'] });
    expect(kinds(plan)).toEqual([
      'detach-device',
      'detach-device',
      'destroy-hwpt',
      'set-huge-pages',
      'alloc-hwpt',
      'attach-device',
      'attach-device',
    ]);
    expect(drift).toEqual([]);
    expect(after.contexts.get('blue')?.containers.get('blue')?.hugePages).toBe(false);
  });
});

describe('deletion', () => {
  it('confirm waits for a word, protect for an edit', async () => {
    const world = await worldWith(
      ['blue', { devices: [A], deletion: 'confirm' }],
      ['red', { devices: [B, N] }],
    );
    const gone = config(['red', { devices: [B, N] }]);
    expect(blockers(world.plan(gone).plan)).toEqual(['needs-confirmation']);
    expect(kinds(world.plan(gone, { confirmed: ['blue'] }).plan)).toContain('close-context');
    await world.apply(
      config(['blue', { devices: [A], deletion: 'protect' }], ['red', { devices: [B, N] }]),
    );
    expect(blockers(world.plan(gone, { confirmed: ['blue'] }).plan)).toEqual(['protected']);
    await world.apply(config(['blue', { devices: [A] }], ['red', { devices: [B, N] }]));
    expect(blockers(world.plan(gone).plan)).toEqual([]);
  });
});

describe('removals by absence', () => {
  it('need a word where they are more than half, and the word is a number', async () => {
    const world = await worldWith(['blue', { devices: [A, B] }], ['red', { devices: [N] }]);
    const gone = config(['red', { devices: [N] }]);
    expect(blockers(world.plan(gone).plan)).toEqual(['too-many-removals']);
    expect(blockers(world.plan(gone, { removalsAllowed: 1 }).plan)).toEqual(['too-many-removals']);
    expect(blockers(world.plan(gone, { removalsAllowed: 2 }).plan)).toEqual([]);
    const empty = config();
    expect(blockers(world.plan(empty).plan)).toEqual(['too-many-removals', 'too-many-removals']);
  });

  it('wait while the watcher holds them, and the rest of an edit does not', async () => {
    const world = await worldWith(['blue', { devices: [A] }], ['red', { devices: [B] }]);
    const edited = config(['red', { devices: [B, N] }]);
    const { plan } = world.plan(edited, { removals: 'hold' });
    expect(plan.waiting).toEqual(['blue']);
    expect(kinds(plan)).toEqual(['bind-driver', 'open-device', 'attach-device']);
  });

  it('make a claim on a device in grace a move that waits', async () => {
    const world = await worldWith(['blue', { devices: [A] }], ['red', { devices: [B] }]);
    const edited = config(['green', { devices: [A] }], ['red', { devices: [B] }]);
    expect(blockers(world.plan(edited, { removals: 'hold' }).plan)).toEqual(['move-waits']);
    expect(blockers(world.plan(edited).plan)).toEqual([]);
  });

  it('keep a group mate that waits as listed as it was', async () => {
    const pair = [{ pci: '0000:05:01.0' }, { pci: '0000:05:02.0' }];
    const world = await worldWith(['blue', { devices: pair }], ['red', { devices: [A, B] }]);
    const edited = config(['blue', { devices: pair.slice(0, 1) }], ['red', { devices: [A, B] }]);
    expect(blockers(world.plan(edited, { removals: 'hold' }).plan)).toEqual([]);
    expect(blockers(world.plan(edited).plan)).toEqual(['group-mate-unlisted']);
  });
});

describe('a host that lacks something', () => {
  it('blocks what needs it, and names it', () => {
    const host = hostIn('test/cases/host.yaml');
    const kernel = { release: '6.1.0', features: [] };
    const world = new World({ ...host, spec: { ...host.spec, kernel } });
    const { plan } = world.plan(config(['blue', { devices: [A] }]));
    expect(blockers(plan)).toContain('kernel-feature-missing');
  });

  it('plans nothing from a fact that could not be read', () => {
    const host = hostIn('test/cases/host.yaml');
    const unreadable = [{ path: '/sys/bus/pci/devices/0000:01:00.0/vendor', errno: 'EIO' }];
    const world = new World({ ...host, spec: { ...host.spec, unreadable } });
    const { plan } = world.plan(config(['blue', { devices: [A] }], ['red', { devices: [B] }]));
    expect(plan.blocked).toMatchObject([{ kind: 'unreadable', container: 'blue', errno: 'EIO' }]);
    expect(plan.steps.length).toBeGreaterThan(0);
  });

  it('never takes what another process holds, by device or by group', () => {
    const host = hostIn('test/cases/host.yaml');
    const holders = [
      { device: '0000:01:00.0', pid: 812, comm: 'qemu', uid: 107 },
      { group: 2, pid: 813, comm: 'old' },
    ];
    const world = new World({ ...host, spec: { ...host.spec, holders } });
    const { plan } = world.plan(config(['a', { devices: [A] }], ['b', { devices: [B] }]));
    expect(plan.blocked).toMatchObject([
      { kind: 'in-use', by: [{ pid: 812, comm: 'qemu', uid: 107 }] },
      { kind: 'group-in-use', by: [{ pid: 813, comm: 'old' }] },
    ]);
  });

  it('is tracked by the device where that is asked for and known', () => {
    const host = hostIn('test/cases/host.yaml');
    const devices = host.spec.devices?.map((device) =>
      device.pci === '0000:03:00.0' ? { ...device, tracking: { device: true } } : device,
    );
    const world = new World({ ...host, spec: { ...host.spec, devices: devices ?? [] } });
    const by = (word: string, active = false): Config =>
      config([
        'blue',
        {
          devices: [{ pci: '0000:03:00.0' }],
          dirtyTracking: { mode: 'required', by: word, active },
        },
      ]);
    expect(blockers(world.plan(by('iommu')).plan)).toEqual(['dirty-tracking-unsupported']);
    expect(blockers(world.plan(by('device')).plan)).toEqual([]);
    expect(blockers(world.plan(by('either')).plan)).toEqual([]);
    expect(blockers(world.plan(by('either', true)).plan)).toEqual(['device-tracking-not-yet']);
  });
});

describe('an interrupted apply', () => {
  it('finishes the steps that run, begins no other, and says so', async () => {
    const world = new World(hostIn('test/cases/host.yaml'));
    const { applyAttempt } = await import('../../src/engine/attempt.ts');
    const stop = new AbortController();
    const wanted = config(['blue', { devices: [A, B] }]);
    const done = await applyAttempt(world.host, world.plan(wanted), wanted, {
      parallel: 1,
      signal: stop.signal,
      onEvent: (event) => {
        if (event.kind === 'step-ended') stop.abort('SIGINT');
      },
    });
    expect(done.result.cells).toMatchObject([{ result: 'interrupted', done: 1 }]);
    const again = await world.apply(wanted);
    expect(again.drift).toEqual([]);
  });
});
