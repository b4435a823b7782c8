/** The guest's own kernel under management of the engine in this process. */
import type { ManagedHost } from '../../src/engine/host.ts';
import { MemoryJournal } from '../../src/engine/journal.ts';
import { nativeSyscalls } from '../../src/kernel/native/syscalls.ts';
import type { Fd } from '../../src/kernel/port.ts';
import { testClock } from '../support/world.ts';

/** A host whose journal is in memory. */
export function kernelHost(): ManagedHost & { readonly journal: MemoryJournal } {
  return {
    syscalls: nativeSyscalls(),
    journal: new MemoryJournal(),
    known: { iommus: new Map(), tracking: new Map() },
    clock: testClock(),
    hostName: null,
    ownPid: process.pid,
  };
}

/** Closes every file that the engine holds, devices first. */
export async function closeAll({ syscalls, journal }: ManagedHost): Promise<void> {
  for (const context of journal.contexts()) {
    for (const device of context.devices) await syscalls.slow.close(device.fd as Fd);
    await syscalls.slow.close(context.fd as Fd);
  }
}
