/**
 * After a restart: makes the journal and the kernel agree again. Files come back under their tags;
 * an action that was begun and never ended is finished or taken back, whichever cannot stop DMA that
 * ran before; what nobody accounts for is freed. Then the probes have the last word.
 */
import type { DeviceKey, HwptId, IoasId } from '../base/ids.ts';
import type { HeldContext, HeldDevice, HeldHwpt } from '../graph/types.ts';
import { KernelError } from '../kernel/call.ts';
import { destroy, getHugePages, setDirtyTracking } from '../kernel/iommufd.ts';
import { type Fd, SyscallError } from '../kernel/port.ts';
import { classify } from '../kernel/probe.ts';
import { attachPt, detachPt } from '../kernel/vfio.ts';
import type { Action, ActionOf } from '../steps/def.ts';
import { describeAction } from '../steps/index.ts';
import { StuckError } from './calls.ts';
import type { DurableJournal } from './durable-journal.ts';
import { type RunContext, retrying, WHILE_RACING } from './run/context.ts';
import { runAction } from './run/index.ts';

/** A file that came back, with its tag. */
export interface InheritedFile {
  readonly tag: string;
  readonly fd: Fd;
}

/** What a recovery came to, in words for the log. */
export interface Recovery {
  /** Contexts that are as they were. */
  readonly kept: readonly string[];
  readonly notes: readonly string[];
}

/** A run whose journal is on disk. */
export interface RecoveringRun extends RunContext {
  readonly journal: DurableJournal;
}

/** Recovers. A crash in the middle of it is recovered from by doing it again. */
export async function recover(
  run: RecoveringRun,
  inherited: readonly InheritedFile[],
): Promise<Recovery> {
  const recovering = new Recovering(run, inherited);
  await recovering.all();
  return {
    kept: run.journal.contexts().map(({ name }) => name),
    notes: recovering.notes,
  };
}

class Recovering {
  readonly notes: string[] = [];
  readonly #run: RecoveringRun;
  readonly #inherited: Map<string, Fd>;

  constructor(run: RecoveringRun, inherited: readonly InheritedFile[]) {
    this.#run = run;
    this.#inherited = new Map(inherited.map(({ tag, fd }) => [tag, fd]));
  }

  async all(): Promise<void> {
    await this.#adoptFiles();
    const { journal } = this.#run;
    const touched = new Set<string>();
    const { intents } = journal;
    for (const { action } of intents) {
      await this.#settle(action);
      if ('context' in action.args) touched.add(action.args.context);
    }
    for (const context of journal.contexts()) {
      if (touched.has(context.name)) await this.#sweep(context);
    }
    // Only now: whoever dies before this does all of it again.
    for (const { id } of intents) journal.end(id);
    journal.compact();
  }

  /** Gives every file its new number; what did not come back is gone, and what nobody knows is closed. */
  async #adoptFiles(): Promise<void> {
    const { journal, keeper, syscalls } = this.#run;
    const adopted = new Set<Fd>();
    const contexts = journal.contexts().flatMap((context) => {
      const fd = this.#newFd(context.fd, `context ${context.name}`);
      if (fd === null) return [];
      adopted.add(fd);
      const devices = context.devices.flatMap((device) => {
        const own = this.#newFd(device.fd, device.key);
        if (own === null) return [];
        adopted.add(own);
        return [{ ...device, fd: own }];
      });
      return [{ ...context, fd, devices }];
    });
    journal.adopt(contexts, new Map([...this.#inherited].map(([tag, fd]) => [fd, tag])));
    for (const [tag, fd] of this.#inherited) {
      if (adopted.has(fd)) continue;
      this.notes.push(`file ${tag} belongs to nothing that is held: closed`);
      await keeper.letGo(fd);
      await syscalls.slow.close(fd);
    }
  }

  #newFd(old: number, what: string): Fd | null {
    const tag = this.#run.journal.tagOf(old);
    const fd = tag === null ? undefined : this.#inherited.get(tag);
    if (fd === undefined) this.notes.push(`${what} did not outlive the restart`);
    return fd ?? null;
  }

  /** Finishes or takes back one action. Whatever cannot be told is left for the probes. */
  async #settle(action: Action): Promise<void> {
    try {
      const word = await this.#settled(action);
      if (word !== null) this.notes.push(`${word}: ${describeAction(action)}`);
    } catch (error) {
      const isExpected = [KernelError, SyscallError, StuckError].some(
        (each) => error instanceof each,
      );
      if (!(error instanceof Error && isExpected)) throw error;
      this.notes.push(`not settled: ${describeAction(action)}: ${error.message}`);
    }
  }

  async #settled(action: Action): Promise<string | null> {
    if ('context' in action.args && !this.#has(action)) return null;
    switch (action.kind) {
      case 'open-context':
      case 'open-device':
      case 'alloc-ioas':
      case 'alloc-hwpt':
        // What it made without a word of it is closed with the files, or freed by the sweep.
        return null;
      case 'bind-driver':
      case 'release-driver':
        // sysfs says what became of it.
        return null;
      case 'rename-container':
        return this.#renamed(action);
      case 'attach-device':
        return this.#attached(action);
      case 'detach-device':
        return this.#detached(action);
      case 'set-dirty-tracking':
        return this.#switched(action);
      case 'set-huge-pages':
        return this.#hugePages(action);
      case 'allow-iovas':
      case 'close-device':
      case 'close-context':
        // Doing it again does the same.
        await runAction(action, this.#run);
        return 'finished';
      case 'destroy-hwpt':
      case 'destroy-ioas':
        return this.#destroyed(action);
    }
  }

  /** Is the context still held, and the device where the action is about one. */
  #has({ args }: Action): boolean {
    const name = 'context' in args ? args.context : '';
    const context = this.#context(name);
    if (context === undefined) return false;
    const key = 'device' in args ? args.device : null;
    return key === null || context.devices.some((device) => device.key === key);
  }

  #context(name: string): HeldContext | undefined {
    return this.#run.journal.contexts().find((context) => context.name === name);
  }

  #device(context: string, key: DeviceKey): HeldDevice | undefined {
    return this.#context(context)?.devices.find((device) => device.key === key);
  }

  #hwpts(context: string): readonly HeldHwpt[] {
    return this.#context(context)?.containers.flatMap(({ hwpts }) => hwpts) ?? [];
  }

  async #renamed({ args }: ActionOf<'rename-container'>): Promise<string> {
    const { journal } = this.#run;
    const context = this.#context(args.context);
    if (context?.containers.some(({ name }) => name === args.from)) {
      const change = { name: args.to };
      journal.record(args.context, { kind: 'container-changed', container: args.from, change });
    }
    if (args.toContext !== args.context) {
      journal.record(args.context, { kind: 'context-renamed', to: args.toContext });
    }
    return 'finished';
  }

  /** A replace is made again: it changes nothing where it was done. A first attach is taken back: nothing ran yet. */
  async #attached({ args }: ActionOf<'attach-device'>): Promise<string> {
    const { syscalls, journal } = this.#run;
    const held = this.#device(args.context, args.device);
    const fd = held?.fd as Fd;
    if (args.replaces === null) {
      if (held?.pt !== null) return 'was finished';
      await detachPt(syscalls, fd);
      journal.record(args.context, { kind: 'detached', device: args.device });
      return 'taken back';
    }
    const pt = journal.resolve(args.context, args.candidates[0]) as HwptId | IoasId;
    await attachPt(syscalls, fd, pt);
    const devices = [args.device, ...args.alsoMoves];
    journal.record(args.context, { kind: 'attached', devices, pt });
    return 'finished';
  }

  async #detached({ args }: ActionOf<'detach-device'>): Promise<string> {
    await detachPt(this.#run.syscalls, this.#device(args.context, args.device)?.fd as Fd);
    this.#run.journal.record(args.context, { kind: 'detached', device: args.device });
    return 'finished';
  }

  async #switched({ args }: ActionOf<'set-dirty-tracking'>): Promise<string | null> {
    const { journal, syscalls } = this.#run;
    const hwpt = journal.resolve(args.context, args.hwpt) as HwptId | null;
    if (hwpt === null) return null;
    const fd = this.#context(args.context)?.fd as Fd;
    const wanted = args.active ? 'active' : 'capable';
    // Switching on again would forget what was recorded since.
    if (this.#hwpts(args.context).some((h) => h.id === hwpt && h.dirtyTracking === wanted)) {
      return 'was finished';
    }
    await setDirtyTracking(syscalls, fd, hwpt, args.active);
    journal.record(args.context, { kind: 'hwpt-changed', hwpt, active: args.active });
    return 'finished';
  }

  async #hugePages({ args }: ActionOf<'set-huge-pages'>): Promise<string | null> {
    const { journal, syscalls } = this.#run;
    const ioas = journal.resolve(args.context, args.ioas) as IoasId | null;
    if (ioas === null) return null;
    const hugePages = getHugePages(syscalls, this.#context(args.context)?.fd as Fd, ioas);
    const { context, container } = args;
    journal.record(context, { kind: 'container-changed', container, change: { hugePages } });
    return 'read anew';
  }

  /** Nobody allocates in a context while something of it is freed, so an id that is free was freed by us. */
  async #destroyed(action: ActionOf<'destroy-hwpt'> | ActionOf<'destroy-ioas'>): Promise<string> {
    const { journal, syscalls } = this.#run;
    const { context, container } = action.args;
    const ref = action.kind === 'destroy-hwpt' ? action.args.hwpt : action.args.ioas;
    const id = journal.resolve(context, ref) ?? 0;
    const isKnown = this.#context(context)?.containers.some(
      (each) => each.ioas === id || each.hwpts.some((hwpt) => hwpt.id === id),
    );
    if (!isKnown) return 'was finished';
    const expected = action.kind === 'destroy-hwpt' ? 'hwpt' : 'ioas';
    const found = classify(syscalls, this.#context(context)?.fd as Fd, id, expected);
    if (found !== 'untyped') return 'not begun';
    if (action.kind === 'destroy-hwpt') {
      journal.record(context, { kind: 'hwpt-destroyed', hwpt: id as HwptId });
    } else {
      journal.record(context, { kind: 'ioas-destroyed', container });
    }
    return 'finished';
  }

  /** Frees what an allocation made and nobody wrote down: HWPTs first, because they hold their IOAS. */
  async #sweep(context: HeldContext): Promise<void> {
    const fd = context.fd as Fd;
    const { syscalls } = this.#run;
    const known = new Set<number>([
      ...context.containers.flatMap(({ ioas, hwpts }) => [ioas, ...hwpts.map(({ id }) => id)]),
      ...context.devices.map(({ devId }) => devId),
    ]);
    const unknown: { id: number; type: 'ioas' | 'hwpt' }[] = [];
    for (let id = 1, free = 0; free < FREE_IDS_MAX; id += 1) {
      const found = known.has(id) ? 'known' : classify(syscalls, fd, id);
      free = found === 'untyped' ? free + 1 : 0;
      if (found === 'ioas') unknown.push({ id, type: 'ioas' });
      if (found === 'hwpt' || found === 'hwpt-dirty') unknown.push({ id, type: 'hwpt' });
    }
    unknown.sort((a, b) => Number(a.type === 'ioas') - Number(b.type === 'ioas'));
    for (const { id, type } of unknown) {
      const freed = await this.#free(fd, id as HwptId);
      const what = `${type.toUpperCase()} ${id} of context ${context.name} was not written down`;
      this.notes.push(`${what}: ${freed ? 'freed' : 'it could not be freed'}`);
    }
  }

  async #free(fd: Fd, id: HwptId): Promise<boolean> {
    for (let attempt = 0; attempt < FREE_ATTEMPTS_MAX; attempt += 1) {
      try {
        await retrying(this.#run, WHILE_RACING, () => destroy(this.#run.syscalls, fd, id));
        return true;
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
      }
    }
    return false;
  }
}

const FREE_ATTEMPTS_MAX = 3;

/** Ids are given out lowest first, so a longer run of free ones ends the context; mdevs look free on 6.12. */
const FREE_IDS_MAX = 64;
