/** Renames of containers that are alone in their contexts, into one context: only one of the contexts can become it. */
import { describe, expect, it } from 'vitest';
import { leaksOf } from '../support/leaks.ts';
import { configOf, hostIn, World } from '../support/world.ts';

const container = (name: string, spec: object): string =>
  JSON.stringify({
    apiVersion: 'autodomain.dev/v1alpha1',
    kind: 'Container',
    metadata: { name },
    spec,
  });

const A = { devices: [{ pci: '0000:01:00.0' }] };
const B = { devices: [{ pci: '0000:01:00.1' }] };

describe('two renames into one context', () => {
  it('never give two contexts the same name', async () => {
    const world = new World(hostIn('test/cases/host.yaml'));
    await world.apply(configOf([container('blue', A), container('red', B)].join('\n---\n')));
    const config = configOf(
      [
        container('azure', { ...A, iommufd: 'shared', formerly: ['blue'] }),
        container('rose', { ...B, iommufd: 'shared', formerly: ['red'] }),
      ].join('\n---\n'),
    );
    const { result, plan } = await world.apply(config);
    const names = plan.steps.flatMap((step) =>
      step.kind === 'rename-container' ? [step.args.toContext] : [],
    );
    expect(names).toEqual(['shared', 'red']);
    expect(result.cells.map((cell) => cell.result)).toEqual(['applied']);
    expect(leaksOf(world.machine, world.host.journal)).toEqual([]);
    expect(world.host.journal.contexts().map(({ name }) => name)).toEqual(['shared']);
  });
});
