// How long a plan from nothing takes, and whether twice the devices take twice the time.

import { observeHost } from '../../dist/engine/host.js';
import { planHost } from '../../dist/plan/planner.js';
import { largeConfig, largeHost, managed, parsed } from '../host.mjs';

const cache = new Map();

async function prepared(count) {
  if (!cache.has(count)) {
    const document = largeHost(count);
    const { host } = await managed(document);
    cache.set(count, {
      graph: observeHost(host).graph,
      config: await parsed(largeConfig(document)),
    });
  }
  return cache.get(count);
}

async function planMs(count) {
  const { graph, config } = await prepared(count);
  const start = performance.now();
  const plan = planHost(config, graph);
  const ms = performance.now() - start;
  if (plan.blocked.length > 0 || plan.steps.length < count * 2)
    throw new Error('not the plan that was meant');
  return ms;
}

const figure = (count, half) => ({
  id: `plan-${count}`,
  unit: 'ms',
  n: 5,
  what: `${count} devices in ${count / 10} containers planned from nothing`,
  against: `plan-${half}`,
  measure: async () => ({ baseline: await planMs(half), value: await planMs(count) }),
});

export const figures = [figure(1000, 100), figure(10_000, 5000), figure(20_000, 10_000)];
