/** Saved plans: is the plan that would be made now the one that was saved? */
import { readFileSync } from 'node:fs';
import { AutodomainError } from '../base/errors.ts';
import { canonicalJson, type Json } from '../base/json.ts';

function isSamePlan(path: string, now: { readonly [key: string]: Json }): boolean {
  const saved = readPlan(path);
  const version = saved['formatVersion'];
  if (typeof version !== 'string' || !version.startsWith('1.')) {
    throw new AutodomainError('config-invalid', `${path} has plan format ${String(version)}`, {
      remedy: 'make the plan with this version of autodomain',
    });
  }
  return FIELDS.every(
    (field) => canonicalJson(saved[field] ?? null) === canonicalJson(now[field] ?? null),
  );
}

/** Throws `stale-plan` (7) unless the saved plan is the one that would be made now, `config-invalid` (3) for a file that is no plan. */
export function requireSamePlan(path: string, now: { readonly [key: string]: Json }): void {
  if (isSamePlan(path, now)) return;
  throw new AutodomainError(
    'stale-plan',
    `the plan in ${path} is stale: the config or the host has changed since`,
    { remedy: 'make a new plan, look at it, and apply that' },
  );
}

/** What makes two plans the same. The tool's version and texts may differ. */
const FIELDS = ['host', 'config', 'graph', 'steps', 'blocked', 'expects'];

function readPlan(path: string): { readonly [key: string]: Json } {
  try {
    const value = JSON.parse(readFileSync(path, 'utf8')) as { readonly [key: string]: Json };
    if (value['kind'] === 'Plan') return value;
  } catch (error) {
    throw new AutodomainError('config-invalid', `${path}:1:1: it is no saved plan`, {
      cause: error,
      remedy: 'give a file that `plan --out` wrote',
    });
  }
  throw new AutodomainError('config-invalid', `${path}:1:1: it is no saved plan`, {
    remedy: 'give a file that `plan --out` wrote',
  });
}
