/**
 * What can be asked over the socket: one row each, with the right that it takes. Not here: how a
 * request is read, bounded and answered; that is server.ts.
 */
import { graphDigest } from '../../engine/digest.ts';
import { graphToJson } from '../../graph/format/json.ts';
import type { PeerCredentials } from '../../kernel/peer.ts';
import { planToJson } from '../../plan/format-json.ts';
import type { DaemonControl } from '../control.ts';
import { requestDocument } from '../documents.ts';
import { badRequest, countIn, digestIn, type Fields, namesIn, onlyFields } from './body.ts';
import { ProblemError, SEE_API } from './problem.ts';
import { outcomeWithin } from './requests.ts';

/** A request that was understood and is allowed. */
export interface Call {
  readonly control: DaemonControl;
  readonly peer: PeerCredentials;
  readonly query: URLSearchParams;
  /** What the `*` of the route's path stands for; empty where it has none. */
  readonly tail: string;
  readonly body: Fields;
  /** The longest that the answer may wait. */
  readonly waitMs: number;
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
  metrics(): Promise<string>;
}

/** What a route answers. */
export type Answer =
  | { readonly kind: 'document'; readonly status: number; readonly document: object }
  | {
      readonly kind: 'text';
      readonly status: number;
      readonly contentType: string;
      readonly text: string;
    }
  | { readonly kind: 'events' };

/** A row: `path` may end in `*`, which stands for one more word. */
export interface Route {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  answer(call: Call): Answer | Promise<Answer>;
}

/** Every route. GET looks; POST changes something, which takes root. */
export const ROUTES: readonly Route[] = [
  { method: 'GET', path: '/v1/status', answer: ({ control }) => ok(control.status()) },
  { method: 'GET', path: '/v1/graph', answer: ({ control }) => ok(graphOf(control)) },
  { method: 'GET', path: '/v1/plan', answer: ({ control }) => ok(planOf(control)) },
  { method: 'GET', path: '/v1/events', answer: () => ({ kind: 'events' }) },
  { method: 'GET', path: '/v1/requests/*', answer: waitForRequest },
  { method: 'POST', path: '/v1/reconcile', answer: reconcile },
  { method: 'POST', path: '/v1/suspend', answer: suspend },
  { method: 'POST', path: '/v1/resume', answer: resume },
  { method: 'POST', path: '/v1/confirm', answer: confirm },
  { method: 'GET', path: '/healthz', answer: ({ control }) => verdict(control.isHealthy()) },
  { method: 'GET', path: '/readyz', answer: ({ control }) => verdict(control.isReady()) },
  {
    method: 'GET',
    path: '/metrics',
    answer: async ({ metrics }) => ({
      kind: 'text',
      status: 200,
      contentType: 'text/plain; version=0.0.4; charset=utf-8',
      text: await metrics(),
    }),
  },
];

/** The route of a request, and what its `*` stands for. Throws ProblemError where there is none. */
export function routeOf(
  method: string,
  path: string,
): { readonly route: Route; readonly tail: string } {
  const matching = ROUTES.filter((route) => tailOf(route, path) !== null);
  const route = matching.find((each) => each.method === method);
  if (route !== undefined) return { route, tail: tailOf(route, path) ?? '' };
  if (matching.length === 0) {
    const cause = `there is no ${path.slice(0, 100)}`;
    throw new ProblemError('not-found', 'nothing was done', cause, SEE_API);
  }
  const cause = `${path} takes ${matching.map((each) => each.method).join(', ')}`;
  throw new ProblemError('method-not-allowed', 'nothing was done', cause, SEE_API);
}

function tailOf({ path }: Route, asked: string): string | null {
  if (!path.endsWith('*')) return asked === path ? '' : null;
  const tail = asked.slice(path.length - 1);
  return asked.startsWith(path.slice(0, -1)) && /^[\w.-]{1,64}$/.test(tail) ? tail : null;
}

function ok(document: object): Answer {
  return { kind: 'document', status: 200, document };
}

function verdict(holds: boolean): Answer {
  const [status, text] = holds ? ([200, 'ok\n'] as const) : ([503, 'no\n'] as const);
  return { kind: 'text', status, contentType: 'text/plain; charset=utf-8', text };
}

function graphOf(control: DaemonControl): object {
  const graph = control.graph();
  if (graph === null) throw notYet('there is no graph', 'the host was not observed yet');
  return graphToJson(graph);
}

function planOf(control: DaemonControl): object {
  const planned = control.plan();
  if (planned === null) throw notYet('there is no plan', 'no valid config was read yet');
  return planToJson(planned.plan, {
    tool: control.status().daemon.version,
    configDigest: planned.source.digest,
    revision: planned.source.revision,
    graphDigest: graphDigest(planned.graph),
  });
}

function notYet(title: string, cause: string): ProblemError {
  const remedy = '`autodomain status` says what the daemon waits for';
  return new ProblemError('not-yet', title, cause, remedy);
}

async function waitForRequest({ control, tail, query, waitMs, signal }: Call): Promise<Answer> {
  const asked = Number(query.get('waitMs') ?? 0);
  if (!Number.isSafeInteger(asked) || asked < 0) {
    throw badRequest('waitMs is a whole number of milliseconds');
  }
  const outcome = await outcomeWithin(control, tail, Math.min(asked, waitMs), signal);
  return ok(requestDocument(tail, outcome));
}

function reconcile({ control, body }: Call): Answer {
  onlyFields(body, ['digest']);
  const { source, daemon } = control.status();
  const digest = digestIn(body);
  if (digest !== null && digest !== source.attempted?.digest) throw stale(control);
  if (daemon.conditions.some(({ type, status }) => type === 'Suspended' && status === 'True')) {
    throw new ProblemError(
      'suspended',
      'nothing is applied',
      'the daemon is suspended',
      '`autodomain resume` first',
    );
  }
  const id = control.reconcile();
  return { kind: 'document', status: 202, document: requestDocument(id, control.outcomeOf(id)) };
}

function suspend({ control, body, peer }: Call): Answer {
  onlyFields(body, []);
  control.suspend(`uid ${peer.uid}, pid ${peer.pid}`);
  return ok(control.status());
}

function resume({ control, body }: Call): Answer {
  onlyFields(body, []);
  control.resume();
  return ok(control.status());
}

function confirm({ control, body }: Call): Answer {
  onlyFields(body, ['digest', 'containers', 'removals']);
  const digest = digestIn(body);
  if (digest === null) throw badRequest('digest is missing: a confirmation is for one config');
  const containers = namesIn(body, 'containers');
  const removals = countIn(body, 'removals');
  if (containers.length === 0 && removals === null) {
    throw badRequest('it confirms nothing: give containers, or removals');
  }
  if (!control.confirm({ digest, containers, removals })) throw stale(control);
  return ok(control.status());
}

function stale(control: DaemonControl): ProblemError {
  const now = control.status().source.attempted?.digest ?? 'none';
  return new ProblemError(
    'stale',
    'nothing was done',
    `the config has changed: it is ${now} now`,
    'look at the new plan, and ask again',
  );
}
