// Lists of connections and of segments, a page at a time: a cursor is the last one that was shown.
// And a connection that an operator ends.

import { type Command, type Outcome, ROWS_MAX, type SegmentRow } from '../../contract/commands.ts';
import type { Broker } from '../broker.ts';
import type { Consumer } from '../connections/consumer.ts';
import type { Producer } from '../connections/producer.ts';
import type { SegmentSpace } from '../ports/segments.ts';
import { bounded, refuse } from './refusals.ts';
import { connectionOf } from './report.ts';

/** Connections of both sides, in the order in which they came. */
export function connectionsPage(
  broker: Broker,
  { limit, cursor }: Extract<Command, { kind: 'connections' }>,
): Outcome {
  const most = bounded(limit, ROWS_MAX);
  const after = cursor === undefined ? -1 : Number(cursor);
  if (!Number.isInteger(after)) return refuse('bad-request', `"${cursor}" is no cursor`);
  const following = [...broker.producers, ...broker.consumers]
    .filter(({ link }) => link.id > after)
    .sort((a, b) => a.link.id - b.link.id);
  const shown = following.slice(0, most);
  const next = following.length > most ? String(shown.at(-1)!.link.id) : null;
  const connections = shown.map((session) => connectionOf(broker, session));
  const counts = { intake: broker.producers.size, exhaust: broker.consumers.size };
  return { ok: true, result: { connections, cursor: next, ...counts } };
}

/** Segments of the log, the oldest first. */
export function segmentsPage(
  broker: Broker,
  space: Pick<SegmentSpace, 'fileBytes'>,
  { limit, cursor }: Extract<Command, { kind: 'segments' }>,
): Outcome {
  const after = cursor === undefined ? -1 : Number(cursor);
  if (!Number.isInteger(after)) return refuse('bad-request', `"${cursor}" is no cursor`);
  const { segments } = broker.retention;
  const from = segments.findIndex(({ base }) => base > after);
  const to = from < 0 ? 0 : Math.min(segments.length, from + bounded(limit, ROWS_MAX));
  const pinned = broker.retention.oldestLive()?.base;
  const rows: SegmentRow[] = [];
  for (let at = Math.max(0, from); at < to; at++) {
    const { base, messages, live, first } = segments[at]!;
    const behind = segments[at + 1];
    const last = (behind?.first ?? broker.nextSequence) - 1;
    const complete = base < broker.indexing.memoryFrom ? 'indexed' : 'complete';
    rows.push({
      base: String(base),
      bytes: space.fileBytes(base),
      messages,
      live,
      firstSequence: String(first),
      lastSequence: messages === 0 ? null : String(last),
      state: behind === undefined ? 'open' : complete,
      pinned: base === pinned,
    });
  }
  const next = to < segments.length && to > 0 ? String(segments[to - 1]!.base) : null;
  return { ok: true, result: { segments: rows, cursor: next, count: segments.length } };
}

/** Ends a connection, whatever it does. */
export function closeConnection(broker: Broker, connection: number): Outcome {
  const session = sessionOf(broker, connection);
  if (session === undefined)
    return refuse('not-found', `there is no connection ${connection}: it may have closed by now`);
  const { peer } = session.link;
  const text = `${peer} closed by an operator`;
  broker.notices.notice('info', 'admin.close', text, { peer, connection });
  session.closedFor = 'operator';
  session.link.destroy();
  return { ok: true, result: { connection, peer } };
}

function sessionOf(
  { producers, consumers }: Broker,
  connection: number,
): Producer | Consumer | undefined {
  for (const producer of producers) if (producer.link.id === connection) return producer;
  for (const consumer of consumers) if (consumer.link.id === connection) return consumer;
  return undefined;
}
