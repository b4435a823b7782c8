/**
 * A host whose graph outlives the daemon: a journal on disk, and open files in the service manager's keeping.
 * At the start both must agree with each other and with the kernel's answers; what does not is left as it is,
 * and said. Without a manager that keeps files the graph ends with the process, and that is said beforehand.
 */
import type { Clock } from '../base/clock.ts';
import { AutodomainError } from '../base/errors.ts';
import { DurableJournal, emptyState, replay } from '../engine/durable-journal.ts';
import { type ManagedHost, observeHost, runContextOf } from '../engine/host.ts';
import type { JournalState } from '../engine/journal-log.ts';
import { type InheritedFile, recover } from '../engine/recover.ts';
import { NO_KEEPER } from '../engine/run/context.ts';
import { SyscallError, type Syscalls } from '../kernel/port.ts';
import type { UnixCalls } from '../kernel/unix-port.ts';
import { countOf } from '../plan/text.ts';
import { hasStore, StoreKeeper, takePassedFiles } from './fd-store.ts';
import { JournalOnDisk, journalPath, readJournalFile, setAside } from './journal-file.ts';
import { ServiceManager } from './notify.ts';

/** What a durable host is opened with. The caller has the lock of the run directory. */
export interface DurableOptions {
  readonly runDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly pid: number;
  readonly syscalls: Syscalls;
  readonly calls: UnixCalls;
  readonly clock: Clock;
  /** What else the host has. */
  readonly host: Pick<ManagedHost, 'known' | 'hostName' | 'calls' | 'cache'>;
}

/** A host whose journal is on disk. */
export interface DurableHost {
  readonly host: ManagedHost & { readonly journal: DurableJournal };
  /** What was found and done at the start, a line each, for the log. */
  readonly notes: readonly string[];
  /** Null: nobody to notify. */
  readonly manager: ServiceManager | null;
  /** True: a restart finds everything as it is. False: what is held ends with this process. */
  readonly outlives: boolean;
}

/** Opens the host and recovers what an earlier process has left. Throws `daemon-config` (78) where files came back that the journal cannot account for: nothing is touched then. */
export async function openDurableHost(options: DurableOptions): Promise<DurableHost> {
  const { calls, clock, env, pid, runDir, syscalls } = options;
  const files = takePassedFiles(env, pid, calls);
  const notes: string[] = [];
  const bootId = syscalls.readText('/proc/sys/kernel/random/boot_id').trim();
  const state = stateFor(journalPath(runDir), bootId, files, notes);
  const journal = new DurableJournal(new JournalOnDisk(journalPath(runDir)), state);
  const address = env['NOTIFY_SOCKET'] ?? '';
  const manager = address === '' ? null : new ServiceManager(calls, clock, address);
  // What came back is in the store, full or not.
  const keeps = manager !== null && (files.length > 0 || (await hasStore(manager)));
  const store = keeps ? manager : null;
  notes.push(store === null ? whyNotKept(manager) : KEPT);
  const keeper = store === null ? NO_KEEPER : new StoreKeeper(store, journal);
  const host = { ...options.host, syscalls, journal, keeper, clock, ownPid: pid };
  const recovery = await recover({ ...runContextOf(host), journal }, files);
  if (recovery.result === 'refused') throw refusal(recovery.reason);
  notes.push(...recovery.notes, ...provenBy(host));
  return { host, notes, manager, outlives: store !== null };
}

const KEPT =
  'a restart keeps every context, HWPT and attachment; `systemctl stop` and a reboot end them';

function whyNotKept(manager: ServiceManager | null): string {
  const why =
    manager === null
      ? 'no service manager keeps our open files'
      : 'the service manager keeps no files for us (FileDescriptorStoreMax= is 0 or too low)';
  return `${why}: when this process ends, every device is detached and reset, and the next one builds the graph anew`;
}

/** The state to begin with. A journal that cannot be used is refused only where something is at stake: files that came back. */
function stateFor(
  path: string,
  bootId: string,
  files: readonly InheritedFile[],
  notes: string[],
): JournalState {
  const read = readJournalFile(path);
  const startAnew = (why: string): JournalState => {
    if (files.length > 0) throw refusal(why);
    if (read.result === 'refused') notes.push(`${why}; it is now ${setAside(path)}`);
    else notes.push(why);
    return emptyState(bootId);
  };
  if (read.result === 'empty') {
    return files.length > 0 ? startAnew('there is no journal') : emptyState(bootId);
  }
  if (read.result === 'refused') return startAnew(`the journal cannot be used: ${read.reason}`);
  const state = replay(read.entries);
  if (state.bootId !== bootId)
    return startAnew('the journal is of an earlier boot: nothing is left');
  if (files.length === 0 && state.contexts.length > 0) {
    const lost = countOf(state.contexts.length, 'context');
    notes.push(`${lost} of the process before ended with it, because nobody kept its files`);
  }
  return state;
}

function refusal(why: string): AutodomainError {
  return new AutodomainError('daemon-config', `${why}, so nothing is touched`, {
    remedy:
      'devices work on as they are; to begin anew, `systemctl stop` the unit, which detaches and resets them, and start it',
  });
}

/** What the kernel's answers say to a recovered graph, context by context. */
function provenBy(host: ManagedHost): readonly string[] {
  const { graph } = observeHost(host);
  return [...graph.contexts.values()].map((context) => {
    const { name, contradictions, devices } = context;
    const what = `context ${name} with ${countOf(devices.size, 'device')}`;
    const [first] = contradictions;
    if (first === undefined) return `${what} is as the journal says`;
    return `${what} is not as the journal says (${first}); nothing is done in it`;
  });
}

/** The manager's answer to a message that cannot be sent ends nothing: it is news for the log. */
export async function tell(
  manager: ServiceManager | null,
  lines: readonly string[],
  onTrouble: (text: string) => void,
): Promise<void> {
  try {
    await manager?.send(lines);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    onTrouble(`the service manager was not told ${lines.join(' ')}: ${error.message}`);
  }
}
