// What an attempt costs that finds nothing to do, and that it makes no writing call.
import { applyAttempt, planAttempt } from '../../dist/engine/attempt.js';
import { observeHost } from '../../dist/engine/host.js';
import { DEFAULT_OPTIONS } from '../../dist/plan/planner-options.js';
import { cpuMs } from '../cpu.mjs';
import { largeConfig, largeHost, managed, parsed } from '../host.mjs';

let world = null;

async function converged() {
  if (world !== null) return world;
  const document = largeHost(2048);
  const { machine, host } = await managed(document);
  const config = await parsed(largeConfig(document));
  const { drift, result } = await applyAttempt(
    host,
    planAttempt(host, config, DEFAULT_OPTIONS),
    config,
    { parallel: 16 },
  );
  if (drift.length > 0 || result.cells.some((cell) => cell.result !== 'applied'))
    throw new Error('it did not converge');
  world = { machine, host, config };
  return world;
}

async function measure() {
  const { machine, host, config } = await converged();
  const baseline = await cpuMs(() => observeHost(host));
  machine.calls.length = 0;
  const value = await cpuMs(() => {
    const { plan } = planAttempt(host, config, DEFAULT_OPTIONS);
    if (plan.steps.length > 0) throw new Error('there was something to do');
  });
  if (machine.writingCalls.length > 0)
    throw new Error(`${machine.writingCalls.length} writing calls`);
  return { value, baseline };
}

export const figures = [
  {
    id: 'noop-2048',
    unit: 'ms',
    n: 9,
    what: 'CPU of a reconcile of 2048 simulated devices with nothing to do; no writing call',
    against: 'the observation alone, simulator included',
    measure,
  },
];
