/** Devices do DMA while their HWPTs change under them; every byte is compared, and VT-d's faults are counted. */
import { spawn } from 'node:child_process';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Bdf, DevId, DeviceKey, HwptId, IoasId } from '../../../src/base/ids.ts';
import { type Attempt, applyAttempt, planAttempt } from '../../../src/engine/attempt.ts';
import type { ApplyEvent } from '../../../src/engine/outcome.ts';
import { allocHwpt, allocIoas, openIommufd } from '../../../src/kernel/iommufd.ts';
import { nativeSyscalls } from '../../../src/kernel/native/syscalls.ts';
import type { Fd } from '../../../src/kernel/port.ts';
import { HWPT_ALLOC_DIRTY_TRACKING } from '../../../src/kernel/uapi/iommufd.ts';
import { attachPt, bindIommufd, openDevice } from '../../../src/kernel/vfio.ts';
import { DEFAULT_OPTIONS } from '../../../src/plan/planner-options.ts';
import { configOf } from '../../support/world.ts';
import { Copier } from '../copier.ts';
import { Edu, type EduFiles, mapMemory, pages } from '../edu.ts';
import { bindVfio, container, functions, pageTableRoots, rootEdus } from '../guest.ts';
import { closeAll, kernelHost } from '../kernel-host.ts';
import { dmarFaults } from '../kernel-log.ts';

const kernel = nativeSyscalls();
/** Two functions that are each alone in their group. */
let alone: readonly Bdf[] = [];
/** Two functions of one group. */
let mates: readonly Bdf[] = [];
let faultsBefore = 0;
let open: readonly Fd[] = [];

beforeAll(() => {
  alone = rootEdus().slice(0, 2);
  mates = functions('1234', '11e8').slice(-2);
  expect(new Set([...alone, ...mates]).size).toBe(4);
});

beforeEach(() => {
  faultsBefore = dmarFaults().length;
});

afterEach(async () => {
  for (const fd of open) await kernel.slow.close(fd);
  open = [];
});

const newFaults = (): readonly string[] => dmarFaults().slice(faultsBefore);

interface Rig {
  readonly iommufd: Fd;
  readonly ioas: IoasId;
  readonly hwpts: readonly HwptId[];
  readonly devices: ReadonlyMap<Bdf, Fd>;
}

/** All four in one IOAS with two equal HWPTs, on the first of them. */
async function rig(): Promise<Rig> {
  const iommufd = openIommufd(kernel);
  const ioas = allocIoas(kernel, iommufd);
  const devices = new Map<Bdf, Fd>();
  const hwpts: HwptId[] = [];
  for (const bdf of [...alone, ...mates]) {
    const device = openDevice(kernel, bindVfio(bdf));
    const devId = await bindIommufd(kernel, device, iommufd);
    while (hwpts.length < 2)
      hwpts.push(await allocHwpt(kernel, iommufd, { devId, ptId: ioas, flags: 0 }));
    await attachPt(kernel, device, hwpts[0] as HwptId);
    devices.set(bdf, device);
  }
  open = [...devices.values(), iommufd];
  return { iommufd, ioas, hwpts, devices };
}

async function copierOn(files: EduFiles, number: number): Promise<Copier> {
  const copier = new Copier(new Edu(kernel, files.device), number);
  await mapMemory(kernel, files, copier.memory, copier.iova);
  return copier;
}

/** Repeats `change` until every copier has done its rounds. */
async function whileCopying(
  copiers: readonly Copier[],
  rounds: number,
  change: (turn: number) => Promise<void>,
): Promise<void> {
  let copying = true;
  const load = Promise.all(copiers.map((copier) => copier.rounds(rounds))).finally(() => {
    copying = false;
  });
  try {
    for (let turn = 0; copying; turn += 1) {
      await change(turn);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  } finally {
    // No device copies any more when its files are closed, whatever went wrong.
    await load;
  }
}

/** What was seen, for the log; and the claim: nothing is wrong where no change was under way, and what is lost is lost to a fault. */
function report(what: string, copiers: readonly Copier[], changes: number): number {
  const sum = (
    key: 'transfers' | 'compared' | 'wrong' | 'cut' | 'lost' | 'changesInFlight',
  ): number => copiers.reduce((total, copier) => total + copier[key], 0);
  const faults = newFaults();
  const lost = sum('lost');
  console.log(
    `figure: dma, ${what}: ${sum('transfers')} transfers of ${copiers.length} devices, ${sum('compared')} bytes compared, ${sum('wrong')} wrong; ${changes} changes, ${sum('changesInFlight')} times one fell between the command of a transfer and its end; ${sum('cut')} transfers ended within a change, ${lost} of them lost; ${faults.length} DMAR faults`,
  );
  expect(sum('wrong')).toBe(0);
  expect(sum('changesInFlight'), 'changes fell into transfers').toBeGreaterThan(0);
  expect(faults.length > 0, faults.join('\n')).toBe(lost > 0);
  return lost;
}

describe('DMA of several devices at once', () => {
  it('arrives whole before and after every replace, by typed calls between two HWPTs', async () => {
    const { iommufd, ioas, hwpts, devices } = await rig();
    const copiers: Copier[] = [];
    for (const device of devices.values())
      copiers.push(await copierOn({ device, iommufd, ioas }, copiers.length));
    const [first, second, third, fourth] = copiers as [Copier, Copier, Copier, Copier];
    const groups = [[first], [second], [third, fourth]];
    const heads = [...alone, mates[0]] as readonly Bdf[];
    const roots = new Set<string | undefined>();
    let replaces = 0;
    await whileCopying(copiers, 20, async (turn) => {
      for (const [at, bdf] of heads.entries()) {
        const ended = (groups[at] ?? []).map((copier) => copier.changeBegins());
        const pt = hwpts[(turn + 1) % 2] as HwptId;
        expect(await attachPt(kernel, devices.get(bdf) as Fd, pt)).toBe(pt);
        for (const end of ended) end();
        replaces += 1;
      }
      if (turn < 4) roots.add(pageTableRoots().get(heads[0] as Bdf));
    });
    expect(roots.size, 'VT-d walked both page tables').toBe(2);
    report('replaces by typed calls', copiers, replaces);
  });

  it('arrives whole in a program in C that was handed the files and has no right of its own', async () => {
    const { iommufd, ioas, devices } = await rig();
    const device = devices.get(alone[0] as Bdf) as Fd;
    const edu = spawn(
      `${process.env['LAB_OUT']}/c/edu`,
      ['3', '4', String(ioas), '0x1000000', '10'],
      {
        stdio: ['ignore', 'pipe', 'pipe', device, iommufd],
        uid: 65534,
        gid: 65534,
      },
    );
    let said = '';
    for (const stream of [edu.stdout, edu.stderr])
      stream?.on('data', (data) => {
        said += data;
      });
    const code = await new Promise<number | null>((resolve) => edu.on('close', resolve));
    expect(said).toBe('edu: 10 rounds of 4095 bytes, 0 differ\n');
    expect(code).toBe(0);
    expect(newFaults()).toEqual([]);
  });
});

/** A config of two containers in one context. */
function split(left: readonly Bdf[], right: readonly Bdf[]): string {
  const devices = (list: readonly Bdf[]): object => ({
    iommufd: 'dma',
    devices: list.map((pci) => ({ pci })),
  });
  return `${container('left', devices(left))}\n---\n${container('right', devices(right))}`;
}

class Managed {
  readonly host = kernelHost();

  async edit(text: string, onEvent: (event: ApplyEvent) => void = () => undefined) {
    const config = configOf(text);
    const planned = planAttempt(this.host, config, DEFAULT_OPTIONS);
    expect(planned.plan.blocked).toEqual([]);
    const attempt = await applyAttempt(this.host, planned, config, { parallel: 4, onEvent });
    expect(attempt.result.cells.map(({ result }) => result)).toEqual(['applied']);
    expect(attempt.drift).toEqual([]);
    return attempt;
  }

  /** What a consumer of that container would be handed for one of the context's devices. */
  files(bdf: Bdf, name: string): EduFiles {
    const [context] = this.host.journal.contexts();
    const device = context?.devices.find(({ key }) => key === bdf);
    const held = context?.containers.find((each) => each.name === name);
    if (!context || !device || !held) throw new Error(`${bdf} is not held for ${name}`);
    const ioas = held.ioas as IoasId;
    return { device: device.fd as Fd, iommufd: context.fd as Fd, ioas };
  }
}

/** Tells copiers when a step on a device, or on its group, begins and ends. */
function watchSteps(copiers: ReadonlyMap<DeviceKey, readonly Copier[]>) {
  const ends = new Map<string, readonly (() => void)[]>();
  return (event: ApplyEvent): void => {
    const step = event.kind === 'step-started' ? event.step : null;
    if (step !== null && 'device' in step.args) {
      const touched = copiers.get(step.args.device) ?? [];
      ends.set(
        step.id,
        touched.map((copier) => copier.changeBegins()),
      );
    }
    if (event.kind === 'step-ended') for (const end of ends.get(event.outcome.step.id) ?? []) end();
  };
}

const kindsOf = ({ plan }: Attempt): readonly string[] => plan.steps.map(({ kind }) => kind);

describe('an edit of the config', () => {
  let managed: Managed;

  beforeEach(() => {
    for (const bdf of [...alone, ...mates]) bindVfio(bdf);
    managed = new Managed();
  });

  afterEach(() => closeAll(managed.host));

  it('moves devices to another container while they do DMA, which arrives whole before and after', async () => {
    const all = [...alone, ...mates];
    const [a, b] = alone as readonly [Bdf, Bdf];
    const pair = [...mates];
    await managed.edit(split([a, ...pair], [b]));
    const copiers = new Map<Bdf, Copier>();
    for (const bdf of all) {
      const copier = await copierOn(managed.files(bdf, 'left'), copiers.size);
      await mapMemory(kernel, managed.files(bdf, 'right'), copier.memory, copier.iova);
      copiers.set(bdf, copier);
    }
    const group = pair.flatMap((bdf) => copiers.get(bdf) ?? []);
    const onEvent = watchSteps(
      new Map(all.map((bdf) => [bdf, pair.includes(bdf) ? group : [copiers.get(bdf) as Copier]])),
    );
    const layouts = [
      split([b], [a, ...pair]),
      split([a, b], pair),
      split([], all),
      split([a, ...pair], [b]),
    ];
    const kinds = new Set<string>();
    let replaces = 0;
    await whileCopying([...copiers.values()], 20, async (turn) => {
      const attempt = await managed.edit(layouts[turn % layouts.length] as string, onEvent);
      for (const kind of kindsOf(attempt)) kinds.add(kind);
      replaces += kindsOf(attempt).filter((kind) => kind === 'attach-device').length;
    });
    expect([...kinds].sort()).toEqual(['alloc-hwpt', 'attach-device', 'destroy-hwpt']);
    report('edits that move devices between containers', [...copiers.values()], replaces);
  });

  it('leads the DMA of a moved device to the memory of its new container, and to no other', async () => {
    const [a, b] = alone as readonly [Bdf, Bdf];
    await managed.edit(split([a], [b]));
    const left = pages(2).fill(1);
    const right = pages(2).fill(2);
    await mapMemory(kernel, managed.files(a, 'left'), left, 0x1000000n);
    await mapMemory(kernel, managed.files(a, 'right'), right, 0x1000000n);
    const edu = new Edu(kernel, managed.files(a, 'left').device);
    await edu.transfer('from-memory', 0x1000000n, 1000);
    await managed.edit(split([], [a, b]));
    await edu.transfer('to-memory', 0x1001000n, 1000);
    expect(right.subarray(4096, 5096).every((byte) => byte === 1)).toBe(true);
    expect(right.subarray(5096).every((byte) => byte === 2)).toBe(true);
    expect(left.every((byte) => byte === 1)).toBe(true);
    await edu.transfer('from-memory', 0x1000000n, 1000);
    await managed.edit(split([a], [b]));
    await edu.transfer('to-memory', 0x1001000n, 1000);
    expect(left.subarray(4096, 5096).every((byte) => byte === 2)).toBe(true);
    expect(newFaults()).toEqual([]);
  });

  it('lets a group mate join and leave while the DMA of its mate runs, and it arrives whole', async () => {
    const [first, second] = mates as readonly [Bdf, Bdf];
    const of = (...list: readonly Bdf[]): string =>
      container('dma', { groupMates: 'accept', devices: list.map((pci) => ({ pci })) });
    await managed.edit(of(first));
    const copier = await copierOn(managed.files(first, 'dma'), 0);
    const joiners: Copier[] = [];
    const onEvent = watchSteps(new Map([[second, [copier]]]));
    let changes = 0;
    await whileCopying([copier], 25, async (turn) => {
      const joined = await managed.edit(of(first, second), onEvent);
      expect(kindsOf(joined)).toEqual(['open-device', 'attach-device']);
      const mate = new Copier(new Edu(kernel, managed.files(second, 'dma').device), 1 + turn);
      await mapMemory(kernel, managed.files(second, 'dma'), mate.memory, mate.iova);
      await mate.rounds(1);
      joiners.push(mate);
      const left = await managed.edit(of(first), onEvent);
      expect(kindsOf(left)).toEqual(['detach-device', 'close-device']);
      changes += 4;
    });
    expect(joiners.map(({ wrong }) => wrong)).toEqual(joiners.map(() => 0));
    expect(report('a mate is opened, attached, detached, closed', [copier], changes)).toBe(0);
  });

  it('that VT-d cannot do (dirty tracking) is refused while DMA runs, and disturbs nothing', async () => {
    const [a] = alone as readonly [Bdf];
    const of = (more: object): string => container('dma', { devices: [{ pci: a }], ...more });
    await managed.edit(of({}));
    const files = managed.files(a, 'dma');
    const copier = await copierOn(files, 0);
    const root = pageTableRoots().get(a);
    const [held] = managed.host.journal.contexts().flatMap(({ devices }) => devices);
    const devId = held?.devId as DevId;
    let refused = 0;
    await whileCopying([copier], 10, async () => {
      const config = configOf(of({ dirtyTracking: { mode: 'required' } }));
      const { plan } = planAttempt(managed.host, config, DEFAULT_OPTIONS);
      expect(plan.blocked).toMatchObject([{ kind: 'dirty-tracking-unsupported', device: a }]);
      expect(plan.steps).toEqual([]);
      const flags = HWPT_ALLOC_DIRTY_TRACKING;
      const request = { devId, ptId: files.ioas, flags };
      const ended = copier.changeBegins();
      const refusal = allocHwpt(kernel, files.iommufd, request);
      await expect(refusal).rejects.toMatchObject({ errno: 'EOPNOTSUPP' });
      ended();
      refused += 1;
    });
    expect(pageTableRoots().get(a)).toBe(root);
    expect(report('tracking HWPTs, all refused', [copier], refused)).toBe(0);
  });
});

describe('the account of faults', () => {
  it('sees a transfer to an address that nobody mapped, which reaches no memory', async () => {
    const { iommufd, ioas, devices } = await rig();
    const device = devices.get(alone[0] as Bdf) as Fd;
    const memory = pages(1).fill(0x5a);
    await mapMemory(kernel, { iommufd, ioas }, memory, 0x1000000n);
    const edu = new Edu(kernel, device);
    await edu.transfer('to-memory', 0x2000000n, 100);
    expect(newFaults().join('\n')).toMatch(/fault addr 0x2000000/);
    expect(memory.every((byte) => byte === 0x5a)).toBe(true);
  });
});
