/**
 * After a restart: makes the journal and the kernel agree again. Files come back under their tags; what was
 * begun and never ended is settled (settle.ts); what such an action made without a word is freed (strays.ts).
 * What does not fit together is not acted on: it refuses the whole, or it is a doubt, which blocks its context.
 */
import type { HeldContext } from '../graph/types.ts';
import { KernelError } from '../kernel/call.ts';
import { type Fd, SyscallError } from '../kernel/port.ts';
import { classify } from '../kernel/probe.ts';
import type { Action } from '../steps/def.ts';
import { describeAction } from '../steps/index.ts';
import { StuckError } from './calls.ts';
import type { DurableJournal } from './durable-journal.ts';
import type { RunContext } from './run/context.ts';
import { settle } from './settle.ts';
import { explains, freeStray, straysOf } from './strays.ts';

/** A file that came back, with its tag. */
export interface InheritedFile {
  readonly tag: string;
  readonly fd: Fd;
}

/** What a recovery came to. */
export type Recovery =
  | {
      readonly result: 'recovered';
      /** Contexts that came back. */
      readonly kept: readonly string[];
      /** What was done and found, in words for the log. */
      readonly notes: readonly string[];
    }
  /** The files that came back are not those of the journal. Nothing was touched. */
  | { readonly result: 'refused'; readonly reason: string };

/** A run whose journal is on disk. */
export interface RecoveringRun extends RunContext {
  readonly journal: DurableJournal;
}

/** Recovers. A crash in the middle of it is recovered from by doing it again. */
export async function recover(
  run: RecoveringRun,
  inherited: readonly InheritedFile[],
): Promise<Recovery> {
  const reason = mismatch(run.journal, inherited);
  if (reason !== null) return { result: 'refused', reason };
  const recovering = new Recovering(run, inherited);
  await recovering.all();
  return {
    result: 'recovered',
    kept: run.journal.contexts().map(({ name }) => name),
    notes: recovering.notes,
  };
}

/** Why the files cannot be those that the journal tells of; null: they can. */
function mismatch(journal: DurableJournal, inherited: readonly InheritedFile[]): string | null {
  const known = new Set(journal.state().kept.map(([tag]) => tag));
  const foreign = inherited.find(({ tag }) => !known.has(tag));
  if (foreign) return `file ${foreign.tag} came back, and the journal does not know it`;
  const back = new Set(inherited.map(({ tag }) => tag));
  const isBack = ({ fd }: { readonly fd: number }): boolean => back.has(journal.tagOf(fd) ?? '');
  for (const context of journal.contexts()) {
    const device = isBack(context) ? undefined : context.devices.find(isBack);
    if (device) return `${device.key} came back, and its context ${context.name} did not`;
  }
  return null;
}

class Recovering {
  readonly notes: string[] = [];
  readonly #run: RecoveringRun;
  readonly #inherited: Map<string, Fd>;
  readonly #doubts = new Map<string, string[]>();

  constructor(run: RecoveringRun, inherited: readonly InheritedFile[]) {
    this.#run = run;
    this.#inherited = new Map(inherited.map(({ tag, fd }) => [tag, fd]));
  }

  async all(): Promise<void> {
    const { journal } = this.#run;
    const { intents } = journal;
    const actions = intents.map(({ action }) => action);
    await this.#adoptFiles(actions);
    for (const action of actions) await this.#settle(action);
    for (const context of journal.contexts()) {
      // What a consumer makes in its context is no stray, and is not asked about.
      if (context.consumers.length === 0) await this.#freeStrays(context, actions);
    }
    journal.doubt(this.#doubts);
    // Only now: whoever dies before this does all of it again.
    for (const { id } of intents) journal.end(id);
    journal.compact();
  }

  /** Gives every file its new number; what did not come back is gone, and what belongs to nothing is closed. */
  async #adoptFiles(actions: readonly Action[]): Promise<void> {
    const { journal, keeper, syscalls } = this.#run;
    const adopted = new Set<Fd>();
    const contexts = journal.contexts().flatMap((context) => {
      const fd = this.#newFd(context.fd);
      if (fd === null) {
        this.#lost(
          `context ${context.name}`,
          actions.some((a) => closes(a, context.name, null)),
        );
        return [];
      }
      adopted.add(fd);
      const devices = context.devices.flatMap((device) => {
        const own = this.#newFd(device.fd);
        if (own === null) {
          this.#lost(
            device.key,
            actions.some((a) => closes(a, context.name, device.key)),
          );
          if (classify(syscalls, fd, device.devId, 'device') === 'device') {
            this.#doubt(context.name, `${device.key} did not come back, and is still bound`);
          }
          return [];
        }
        adopted.add(own);
        return [{ ...device, fd: own }];
      });
      return [{ ...context, fd, devices }];
    });
    journal.adopt(contexts, new Map([...this.#inherited].map(([tag, fd]) => [fd, tag])));
    for (const [tag, fd] of this.#inherited) {
      if (adopted.has(fd)) continue;
      this.notes.push(`file ${tag} was opened and not used yet: closed`);
      await keeper.letGo(fd);
      await syscalls.slow.close(fd);
    }
  }

  #newFd(old: number): Fd | null {
    const tag = this.#run.journal.tagOf(old);
    return (tag === null ? undefined : this.#inherited.get(tag)) ?? null;
  }

  #lost(what: string, wasClosing: boolean): void {
    this.notes.push(wasClosing ? `${what} was being closed, and is` : `${what} did not come back`);
  }

  #doubt(context: string, text: string): void {
    this.#doubts.set(context, [...(this.#doubts.get(context) ?? []), text]);
    this.notes.push(`context ${context}: ${text}; nothing is done in it`);
  }

  async #settle(action: Action): Promise<void> {
    try {
      const word = await settle(action, this.#run);
      if (word !== null) this.notes.push(`${word}: ${describeAction(action)}`);
    } catch (error) {
      const isExpected = [KernelError, SyscallError, StuckError].some(
        (each) => error instanceof each,
      );
      if (!(error instanceof Error && isExpected)) throw error;
      this.notes.push(`not settled: ${describeAction(action)}: ${error.message}`);
    }
  }

  async #freeStrays(context: HeldContext, actions: readonly Action[]): Promise<void> {
    const strays = straysOf(this.#run.syscalls, context);
    const own = actions.filter(({ args }) => 'context' in args && args.context === context.name);
    for (const stray of strays) {
      const what = `${stray.type === 'device' ? 'device' : stray.type.toUpperCase()} ${stray.id}`;
      if (!explains(own, strays)) {
        this.#doubt(context.name, `the kernel has ${what}, which the journal does not know`);
      } else if (await freeStray(this.#run, context.fd as Fd, stray)) {
        this.notes.push(`${what} of context ${context.name} was not written down: freed`);
      } else this.#doubt(context.name, `${what} was not written down and cannot be freed`);
    }
  }
}

function closes({ kind, args }: Action, context: string, device: string | null): boolean {
  if (!('context' in args) || args.context !== context) return false;
  if (kind === 'close-context') return device === null;
  return kind === 'close-device' && 'device' in args && args.device === device;
}
