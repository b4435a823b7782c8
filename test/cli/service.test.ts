/** What the service manager's watchdog hears, and what is looked at for it. */
import { describe, expect, it, vi } from 'vitest';
import type { Io } from '../../src/cli/io.ts';
import { serviceOf, type Wellness } from '../../src/cli/service.ts';
import type { DurableHost } from '../../src/daemon/durable.ts';
import type { ServiceManager } from '../../src/daemon/notify.ts';
import { hostIn, World } from '../support/world.ts';

async function watched(wellness: Wellness): Promise<{ pings: number; looks: number }> {
  const { host } = new World(hostIn('test/cases/host.yaml'));
  const readDir = vi.fn(host.syscalls.readDir);
  const send = vi.fn(async () => undefined);
  const durable = {
    host: { ...host, syscalls: { ...host.syscalls, readDir } },
    notes: [],
    manager: { send } as unknown as ServiceManager,
    outlives: true,
  } as unknown as DurableHost;
  const io = { env: { WATCHDOG_USEC: '4000' }, pid: 7, stderr: () => undefined } as unknown as Io;
  const service = serviceOf(durable, io);
  await service.ready(() => wellness);
  await new Promise((resolve) => setTimeout(resolve, 200));
  const pings = send.mock.calls.length - 1;
  const looks = readDir.mock.calls.length;
  await service.stopping();
  return { pings, looks };
}

describe('the watchdog', () => {
  it('is told that we are well where the host can be observed', async () => {
    const { pings, looks } = await watched('idle');
    expect(pings).toBeGreaterThan(0);
    expect(looks).toBeGreaterThan(0);
  });

  it('looks at nothing while steps are in the kernel: a read of sysfs would wait for their locks', async () => {
    const { pings, looks } = await watched('busy');
    expect(pings).toBeGreaterThan(0);
    expect(looks).toBe(0);
  });

  it('hears nothing of a daemon that is not well', async () => {
    expect(await watched('unwell')).toEqual({ pings: 0, looks: 0 });
  });
});
