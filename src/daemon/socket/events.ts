/** The stream of events: one JSON document a line, to a client that keeps up. */
import type { ServerResponse } from 'node:http';
import type { DaemonControl } from '../control.ts';
import { eventDocument } from '../documents.ts';

/** Writes every event from now on, until either side ends it. A client that leaves too much unread is dropped. */
export function streamEvents(
  control: Pick<DaemonControl, 'subscribe'>,
  response: ServerResponse,
  unreadBytesMax: number,
): void {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  response.flushHeaders();
  const unsubscribe = control.subscribe((event) => {
    if (response.writableLength > unreadBytesMax) {
      response.destroy();
      return;
    }
    response.write(`${JSON.stringify(eventDocument(event))}\n`);
  });
  response.once('close', unsubscribe);
}
