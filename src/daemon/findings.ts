/** What is said of the daemon and of each container, as conditions: pure, from what the loop knows. */

import { explainBlocker } from '../plan/blockers.ts';
import type { Blocker } from '../plan/types.ts';
import { formatIssues } from '../spec/format.ts';
import type { IssueList } from '../spec/issues.ts';
import { describeAction } from '../steps/index.ts';
import { type Finding, finding } from './conditions.ts';
import type { Hold } from './holds.ts';
import type { Judgement } from './judgement.ts';
import type { SourceState } from './loop.ts';

/** The conditions of a container, from the judgement of its cell. */
export function containerFindings(name: string, judgement: Judgement): readonly Finding[] {
  const { ready, stalled, reconciling, reason, message } = standing(name, judgement);
  return [
    finding('Ready', ready, reason, message),
    finding('Reconciling', reconciling, reconciling ? reason : 'Idle'),
    finding('Stalled', stalled, stalled ? reason : 'NotStalled', stalled ? message : ''),
    driftFinding(judgement),
  ];
}

interface Standing {
  readonly ready: boolean;
  /** Nothing will come of it without somebody's help. */
  readonly stalled: boolean;
  /** It is being worked on, or will be without anybody's help. */
  readonly reconciling: boolean;
  readonly reason: string;
  readonly message: string;
}

const AT_REST = { ready: false, stalled: false, reconciling: false };

function standing(name: string, judgement: Judgement): Standing {
  switch (judgement.state) {
    case 'settled':
      return { ...AT_REST, ready: true, reason: 'Converged', message: '' };
    case 'due':
      return {
        ...AT_REST,
        reconciling: true,
        reason: 'Applying',
        message: 'its steps are applied',
      };
    case 'waiting': {
      const message = 'what is gone from the files is removed when it has been gone long enough';
      return { ...AT_REST, reconciling: true, reason: 'RemovalWaits', message };
    }
    case 'reported': {
      const message = `not as the config says, and drift is only reported: ${listed(judgement.steps.map(describeAction))}; \`autodomain reconcile\` corrects it`;
      return { ...AT_REST, reason: 'Drifted', message };
    }
    case 'suspended': {
      const message = `waits for \`autodomain resume\`: ${listed(judgement.steps.map(describeAction))}`;
      return { ...AT_REST, reason: 'Suspended', message };
    }
    case 'blocked':
      return { ...AT_REST, stalled: true, ...blockedWords(name, judgement.blockers) };
    case 'held':
      return { ...AT_REST, ...heldWords(judgement.hold) };
  }
}

function blockedWords(
  name: string,
  blockers: readonly Blocker[],
): { readonly reason: string; readonly message: string } {
  const own = blockers.filter(({ container }) => container === name);
  const [first] = own.length > 0 ? own : blockers;
  if (first === undefined) return { reason: 'Blocked', message: '' };
  const { text, remedy } = explainBlocker(first);
  const more = own.length > 1 ? ` (and ${own.length - 1} more, see \`autodomain plan\`)` : '';
  return own.length > 0
    ? { reason: camelCase(first.kind), message: `${text}; ${remedy}${more}` }
    : { reason: 'CellBlocked', message: `${first.container}: ${text}; ${remedy}` };
}

function heldWords(hold: Hold): Omit<Standing, 'ready'> {
  switch (hold.kind) {
    case 'terminal': {
      const message = `${hold.text}; it is tried again when the config or the host changes, or after \`autodomain reconcile\``;
      return { stalled: true, reconciling: false, reason: 'Failed', message };
    }
    case 'back-off':
      return {
        stalled: false,
        reconciling: true,
        reason: 'RetryLater',
        message: `${hold.text}; it is tried again by itself`,
      };
    case 'flapping':
      return { stalled: false, reconciling: true, reason: 'Flapping', message: hold.text };
  }
}

function driftFinding(judgement: Judgement): Finding {
  if (!judgement.drift) return finding('Drifted', false, 'AsApplied');
  switch (judgement.state) {
    case 'blocked': {
      const [first] = judgement.blockers;
      const reason = first?.kind === 'group-mate-unlisted' ? 'GroupMateAppeared' : 'HostChanged';
      return finding('Drifted', true, reason, first ? explainBlocker(first).text : '');
    }
    case 'held':
      return finding('Drifted', true, 'HostChanged', judgement.hold.text);
    case 'reported':
    case 'suspended':
      return finding('Drifted', true, 'HostChanged', listed(judgement.steps.map(describeAction)));
    case 'due':
    case 'waiting':
    case 'settled':
      return finding('Drifted', true, 'HostChanged', 'the host has left what was applied');
  }
}

/** What is known of the daemon as a whole. */
export interface DaemonFacts {
  readonly judgements: ReadonlyMap<string, Judgement>;
  readonly source: SourceState;
  readonly isApplying: boolean;
  /** Who suspended it; null: nobody. */
  readonly suspendedBy: string | null;
  /** Why file events cannot be relied on; null: they can. */
  readonly watchDegraded: string | null;
}

/** The conditions of the daemon. */
export function daemonFindings(facts: DaemonFacts): readonly Finding[] {
  const { judgements, isApplying, suspendedBy, watchDegraded } = facts;
  const named = [...judgements];
  const inState = (...states: readonly Judgement['state'][]): readonly string[] =>
    named.filter(([, { state }]) => states.includes(state)).map(([cell]) => cell);
  const stuck = named.filter(([, each]) => isStalled(each)).map(([cell]) => cell);
  const unsettled = inState('due', 'waiting', 'blocked', 'held', 'reported', 'suspended');
  const moving = named.filter(([, each]) => isMoving(each)).map(([cell]) => cell);
  const drifted = named.filter(([, { drift }]) => drift).map(([cell]) => cell);
  const source = sourceFinding(facts.source);
  const ready = source.status === 'True' && unsettled.length === 0 && !isApplying;
  return [
    finding('Ready', ready, ready ? 'Converged' : readyReason(source, stuck), listed(unsettled)),
    finding('Reconciling', isApplying || moving.length > 0, isApplying ? 'Applying' : 'Waiting'),
    stalledFinding(source, stuck),
    finding(
      'Drifted',
      drifted.length > 0,
      drifted.length > 0 ? 'HostChanged' : 'AsApplied',
      listed(drifted),
    ),
    finding(
      'Suspended',
      suspendedBy !== null,
      suspendedBy === null ? 'Running' : 'Requested',
      suspendedBy === null ? '' : `by ${suspendedBy}; \`autodomain resume\` ends it`,
    ),
    source,
    finding(
      'WatchDegraded',
      watchDegraded !== null,
      watchDegraded === null ? 'Events' : 'Polling',
      watchDegraded ?? '',
    ),
  ];
}

function readyReason(source: Finding, stuck: readonly string[]): string {
  if (source.status !== 'True') return source.reason;
  return stuck.length > 0 ? 'ContainersStalled' : 'ContainersNotReady';
}

function stalledFinding(source: Finding, stuck: readonly string[]): Finding {
  if (source.reason === 'ConfigInvalid') {
    return finding('Stalled', true, source.reason, source.message);
  }
  const stalled = stuck.length > 0;
  return finding('Stalled', stalled, stalled ? 'ContainersStalled' : 'NotStalled', listed(stuck));
}

function isStalled(judgement: Judgement): boolean {
  return standing('', judgement).stalled;
}

function isMoving(judgement: Judgement): boolean {
  return standing('', judgement).reconciling;
}

function sourceFinding(source: SourceState): Finding {
  switch (source.state) {
    case 'ready':
      return finding('SourceReady', true, 'Read');
    case 'none':
      return finding('SourceReady', false, 'NotReadYet');
    case 'changing':
      return finding('SourceReady', false, 'Changing', 'the files have just changed');
    case 'busy':
      return finding('SourceReady', false, 'SourceBusy', source.why);
    case 'invalid':
      return finding('SourceReady', false, 'ConfigInvalid', firstLine(source.issues));
  }
}

function firstLine(issues: IssueList): string {
  return formatIssues(issues).split('\n')[0] ?? '';
}

/** A blocker's kind as a reason word: `native-driver` is `NativeDriver`. */
export function camelCase(kind: string): string {
  return kind.replace(/(?:^|-)([a-z])/g, (_all, letter: string) => letter.toUpperCase());
}

const LISTED_MAX = 5;

function listed(words: readonly string[]): string {
  const rest = words.length - LISTED_MAX;
  const shown = words.slice(0, LISTED_MAX).join(', ');
  return rest > 0 ? `${shown} and ${rest} more` : shown;
}
