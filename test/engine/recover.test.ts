/** A recovery over a context that a consumer has. */
import { describe, expect, it } from 'vitest';
import { applyAttempt, planAttempt } from '../../src/engine/attempt.ts';
import { DurableJournal, emptyState } from '../../src/engine/durable-journal.ts';
import { runContextOf } from '../../src/engine/host.ts';
import { recover } from '../../src/engine/recover.ts';
import type { Consumer } from '../../src/graph/types.ts';
import { allocIoas } from '../../src/kernel/iommufd.ts';
import type { Fd } from '../../src/kernel/port.ts';
import { DEFAULT_OPTIONS } from '../../src/plan/planner-options.ts';
import { configIn, hostIn, World } from '../support/world.ts';

const CONSUMER: Consumer = { container: 'blue', pid: 4711, comm: 'qemu', uid: 0, start: '1' };

async function recovered(consumers: readonly Consumer[]): Promise<readonly unknown[]> {
  const world = new World(hostIn('test/cases/host.yaml'));
  const file = { append: () => undefined, replace: () => undefined };
  const journal = new DurableJournal(file, emptyState('boot'));
  const host = { ...world.host, journal };
  const config = configIn('test/cases/from-nothing/config.yaml');
  await applyAttempt(host, planAttempt(host, config, DEFAULT_OPTIONS), config, { parallel: 4 });
  const inherited = journal
    .contexts()
    .flatMap(({ fd, devices }) => [fd, ...devices.map((device) => device.fd)])
    .map((fd) => ({ tag: journal.keep(fd), fd: fd as Fd }));
  for (const { name, fd } of journal.contexts()) {
    journal.record(name, { kind: 'consumers-changed', consumers });
    allocIoas(host.syscalls, fd as Fd);
  }
  expect((await recover({ ...runContextOf(host), journal }, inherited)).result).toBe('recovered');
  return journal.contexts().flatMap(({ doubts }) => doubts ?? []);
}

describe('an object that the journal does not know', () => {
  it('is a doubt in a context of ours', async () => {
    expect(await recovered([])).not.toEqual([]);
  });

  it("is the consumer's in a context that it has", async () => {
    expect(await recovered([CONSUMER])).toEqual([]);
  });
});
