/** Documents of the socket beside the status: what happened, and what came of a request. Their shapes are in schema/. */
import type { DaemonEvent, EventKind, RequestOutcome } from './control.ts';

/** A line of `/v1/events`; its shape is schema/event.v1.json. */
export interface EventDocument extends Omit<DaemonEvent, 'kind'> {
  readonly formatVersion: '1.0';
  readonly kind: 'Event';
  readonly event: EventKind;
}

/** The event as a document. */
export function eventDocument({ kind, ...event }: DaemonEvent): EventDocument {
  return { formatVersion: '1.0', kind: 'Event', event: kind, ...event };
}

/** What came of a request so far; its shape is schema/request.v1.json. */
export interface RequestDocument {
  readonly formatVersion: '1.0';
  readonly kind: 'Request';
  readonly id: string;
  readonly outcome: RequestOutcome;
}

/** The state of a request as a document. */
export function requestDocument(id: string, outcome: RequestOutcome): RequestDocument {
  return { formatVersion: '1.0', kind: 'Request', id, outcome };
}
