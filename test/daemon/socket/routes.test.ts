/** What the socket answers: every route, its right, its document against its schema, and its refusals. */
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { CONDITION_TYPES, EVENT_KINDS } from '../../../src/daemon/control.ts';
import { PROBLEMS } from '../../../src/daemon/socket/problem.ts';
import { graphDigest } from '../../../src/engine/digest.ts';
import { graphFromJson } from '../../../src/graph/format/read.ts';
import { documentCheck } from '../../support/schemas.ts';
import {
  type Answered,
  ask,
  raw,
  type Served,
  type ServedOptions,
  serve,
  until,
} from '../../support/socket.ts';

let served: Served;

afterEach(async () => {
  await served.close();
});

async function start(
  options: ServedOptions = {},
): Promise<(method: string, target: string, body?: string | object) => Promise<Answered>> {
  served = await serve(options);
  return (method, target, body) => ask(served.path, method, target, body);
}

function documentIn({ text }: Answered): Record<string, unknown> {
  return JSON.parse(text) as Record<string, unknown>;
}

describe('looking', () => {
  it('answers status, graph and plan with documents of their schemas', async () => {
    const asks = await start();
    await served.daemon.turn();
    for (const [target, schema] of [
      ['/v1/status', 'status.v1'],
      ['/v1/graph', 'graph.v1'],
      ['/v1/plan', 'plan.v1'],
    ] as const) {
      const answer = await asks('GET', target);
      expect(answer.status, target).toBe(200);
      expect(answer.type).toBe('application/json');
      expect(documentCheck(schema, documentIn(answer)), target).toBe(null);
    }
    const status = documentIn(await asks('GET', '/v1/status'));
    expect(status['containers']).toMatchObject([
      { name: 'blue', devices: [{ pci: '0000:01:00.0', state: 'attached', tracking: 'none' }] },
    ]);
  });

  it('gives a graph that means what the daemon knows', async () => {
    const asks = await start({
      spec: {
        devices: [{ pci: '0000:01:00.0' }],
        iova: { allow: [{ start: '0x1000000', last: '0x7fffffff' }] },
      },
    });
    await served.daemon.turn();
    const graph = graphFromJson(JSON.parse((await asks('GET', '/v1/graph')).text));
    expect(graph).toEqual(served.daemon.graph());
    expect(graph && graphDigest(graph)).toBe(graphDigest(served.daemon.graph() as never));
  });

  it('says that there is nothing yet before the first look', async () => {
    const asks = await start();
    for (const target of ['/v1/graph', '/v1/plan']) {
      const answer = await asks('GET', target);
      expect(answer.status).toBe(503);
      expect(documentIn(answer)).toMatchObject({ kind: 'Problem', type: 'not-yet' });
    }
    expect((await asks('GET', '/v1/status')).status).toBe(200);
    expect((await asks('GET', '/readyz')).status).toBe(503);
    expect((await asks('GET', '/healthz')).status).toBe(200);
  });

  it('gives metrics that are true at the first scrape', async () => {
    const asks = await start();
    await served.daemon.turn();
    const { type, text } = await asks('GET', '/metrics');
    expect(type).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(text).toContain('autodomain_devices{state="attached"} 1');
    expect(text).toContain('autodomain_reconciles_total{result="applied"} 1');
  });
});

describe('changing', () => {
  it('reconciles, and says what came of it', async () => {
    const asks = await start();
    const asked = await asks('POST', '/v1/reconcile');
    expect(asked.status).toBe(202);
    const { id } = documentIn(asked);
    const answer = await asks('GET', `/v1/requests/${String(id)}?waitMs=5000`);
    expect(documentIn(answer)).toEqual({
      formatVersion: '1.0',
      kind: 'Request',
      id,
      outcome: 'ready',
    });
    expect(documentCheck('request.v1', documentIn(answer))).toBe(null);
    expect(documentIn(await asks('GET', '/v1/requests/other'))).toMatchObject({
      outcome: 'unknown',
    });
  });

  it('applies nothing while suspended, and for another config than the one that was looked at', async () => {
    const asks = await start();
    expect(documentIn(await asks('POST', '/v1/suspend'))).toMatchObject({ kind: 'Status' });
    const refused = await asks('POST', '/v1/reconcile');
    expect(documentIn(refused)).toMatchObject({ status: 409, type: 'suspended' });
    await asks('POST', '/v1/resume');
    const other = await asks('POST', '/v1/reconcile', { digest: `sha256:${'0'.repeat(64)}` });
    expect(documentIn(other)).toMatchObject({ status: 409, type: 'stale' });
  });

  it('confirms one config, and never the next', async () => {
    const asks = await start();
    served.write('red', { devices: [{ pci: '0000:01:00.1' }], deletion: 'confirm' });
    await served.daemon.turn();
    served.write('red', { state: 'absent', deletion: 'confirm' });
    await served.daemon.turn();
    expect(served.daemon.plan()?.plan.blocked).toMatchObject([{ kind: 'needs-confirmation' }]);
    const digest = served.daemon.status().source.attempted?.digest;
    served.write('blue', { devices: [{ pci: '0000:01:00.0' }], labels: {} });
    const { status } = await asks('POST', '/v1/confirm', { digest, containers: ['red'] });
    expect(status).toBe(200);
    served.write('blue', { devices: [{ pci: '0000:01:00.0' }], dirtyTracking: { mode: 'none' } });
    await served.daemon.turn();
    expect(served.daemon.plan()?.plan.blocked).toMatchObject([{ kind: 'needs-confirmation' }]);
    const late = await asks('POST', '/v1/confirm', { digest, containers: ['red'] });
    expect(documentIn(late)).toMatchObject({ status: 409, type: 'stale' });
    const now = served.daemon.status().source.attempted?.digest;
    await asks('POST', '/v1/confirm', { digest: now, containers: ['red'] });
    await served.daemon.turn();
    expect(served.daemon.plan()?.plan.blocked).toEqual([]);
  });

  it('is for root and the daemon alone; the group of the socket may look', async () => {
    const asks = await start({ peer: { uid: 4000 } });
    expect((await asks('GET', '/v1/status')).status).toBe(200);
    for (const target of ['/v1/reconcile', '/v1/suspend', '/v1/resume', '/v1/confirm']) {
      const answer = await asks('POST', target);
      expect(answer.status, target).toBe(403);
      expect(documentCheck('problem.v1', documentIn(answer))).toBe(null);
      expect(documentIn(answer)['cause']).toContain('uid 4000 may look');
    }
    expect(served.daemon.status().daemon.conditions).toContainEqual(
      expect.objectContaining({ type: 'Suspended', status: 'False' }),
    );
  });
});

describe('events', () => {
  it('come as they happen, one document a line, until the client goes', async () => {
    await start();
    const listeners = served.daemon.listeners;
    const client = await raw(served.path, 'GET /v1/events HTTP/1.1\r\nHost: a\r\n\r\n');
    await until(() => client.received().includes('x-ndjson'), 'the header');
    await served.daemon.turn();
    await until(() => client.received().includes('converged'), 'the event');
    const lines = client
      .received()
      .split(/\r?\n/)
      .filter((line) => line.startsWith('{'));
    for (const line of lines) expect(documentCheck('event.v1', JSON.parse(line))).toBe(null);
    expect(lines.map((line) => (JSON.parse(line) as { event: string }).event)).toEqual([
      'attempted',
      'converged',
    ]);
    client.socket.destroy();
    await until(() => served.daemon.listeners === listeners, 'the listener is gone');
  });
});

describe('the schemas', () => {
  it('list every kind of event, condition and problem', async () => {
    await start();
    const text = (name: string): string => readFileSync(`schema/${name}.json`, 'utf8');
    const event = JSON.parse(text('event.v1')) as { properties: { event: { enum: string[] } } };
    expect(event.properties.event.enum).toEqual(EVENT_KINDS);
    const problem = JSON.parse(text('problem.v1')) as { properties: { type: { enum: string[] } } };
    expect(problem.properties.type.enum).toEqual(Object.keys(PROBLEMS));
    for (const type of CONDITION_TYPES) expect(text('status.v1')).toContain(`"${type}"`);
  });
});

describe('what is not understood', () => {
  const digest = `sha256:${'0'.repeat(64)}`;
  const cases: readonly (readonly [
    why: string,
    status: number,
    request: readonly [method: string, target: string, body?: string],
  ])[] = [
    ['no such path', 404, ['GET', '/']],
    ['no id', 404, ['GET', '/v1/requests/']],
    ['a path with dots is what it comes to', 200, ['GET', '/v1/requests/../status']],
    ['no such method', 405, ['DELETE', '/v1/status']],
    ['a change that is asked for with GET', 405, ['GET', '/v1/reconcile']],
    ['a wait that is no time', 400, ['GET', '/v1/requests/r-1?waitMs=-1']],
    ['a digest that is none', 400, ['POST', '/v1/confirm', '{"digest":"x"}']],
    ['no digest', 400, ['POST', '/v1/confirm', '{}']],
    ['nothing to confirm', 400, ['POST', '/v1/confirm', JSON.stringify({ digest })]],
    ['less than none', 400, ['POST', '/v1/confirm', JSON.stringify({ digest, removals: -1 })]],
    ['no names', 400, ['POST', '/v1/confirm', JSON.stringify({ digest, containers: [1] })]],
    ['a list', 400, ['POST', '/v1/reconcile', '[]']],
    ['half a document', 400, ['POST', '/v1/reconcile', '{']],
    ['an unknown field', 400, ['POST', '/v1/reconcile', '{"diggest":""}']],
    ['a body that is too large', 413, ['POST', '/v1/suspend', `{"a":"${'b'.repeat(20_000)}"}`]],
    ['a header that is too large', 431, ['GET', `/${'a'.repeat(9000)}`]],
  ];
  it.each(cases)('%s: %i', async (_why, status, [method, target, body]) => {
    const asks = await start();
    const answer = await asks(method, target, body);
    expect(answer.status).toBe(status);
    if (status !== 200) expect(documentCheck('problem.v1', documentIn(answer))).toBe(null);
    expect(served.daemon.status().history).toEqual([]);
  });

  it('answers a defect with 500, logs it, and lives', async () => {
    const asks = await start();
    served.daemon.status = () => {
      throw new Error('planted');
    };
    const answer = await asks('GET', '/v1/status');
    expect(documentIn(answer)).toMatchObject({ status: 500, type: 'internal', cause: 'planted' });
    expect(served.log()).toContain('GET /v1/status failed');
    expect((await asks('GET', '/healthz')).status).toBe(200);
  });
});
