/** The README's path through the library, by its public names only. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  applyAttempt,
  type Clock,
  DEFAULT_OPTIONS,
  Machine,
  type ManagedHost,
  MemoryJournal,
  type MonotonicMs,
  planAttempt,
  readConfig,
  readHost,
  readSource,
} from '../src/index.ts';

describe('the public surface', () => {
  it('reads, plans, applies and verifies', async () => {
    const source = readSource(['examples/two-vfs/config']);
    const { config } = readConfig(source.files, source.issues);
    const path = 'examples/two-vfs/host.yaml';
    const { host: document } = readHost({ path, bytes: readFileSync(path) });
    if (config === null || document === null) throw new Error('the example is valid');
    const clock: Clock = { now: () => 0 as MonotonicMs, sleep: async () => undefined };
    const machine = new Machine(document, { clock });
    const host: ManagedHost = {
      syscalls: machine.syscalls,
      journal: new MemoryJournal(machine.held),
      known: machine.known,
      clock,
      hostName: null,
      ownPid: process.pid,
    };
    const planned = planAttempt(host, config, DEFAULT_OPTIONS);
    expect(planned.plan.steps.map((step) => step.kind)).toContain('alloc-hwpt');
    const { drift, after } = await applyAttempt(host, planned, config, { parallel: 4 });
    expect(drift).toEqual([]);
    expect(after.contexts.get('spdk-blue')?.devices.size).toBe(2);
  });
});
