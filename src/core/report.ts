// Builds the parts of a snapshot that the core knows. Reads, changes nothing; costs one pass over
// the column of backlog counts and over the connections.

import { WIRE_U64 } from '../../assembly/layout.ts';
import type { Broker } from './broker.ts';
import type { Consumer } from './consumer.ts';
import type { Producer } from './producer.ts';
import type { ConnectionSnapshot, Rates, Snapshot, Totals } from './snapshot.ts';

const BUCKETS_MAX = 50;
const CONNECTIONS_MAX = 100;

export function totalsOf(broker: Broker): Totals {
  const c = broker.counters;
  return {
    publishedMessages: c.publishedMessages,
    publishedBytes: c.publishedBytes,
    refused: { empty: c.refusedEmpty, tooLarge: c.refusedLarge, storageFull: c.refusedFull },
    deliveredMessages: c.deliveredMessages,
    deliveredBytes: c.deliveredBytes,
    ackedMessages: c.ackedMessages,
    failedMessages: c.failedMessages,
    redeliveredMessages: c.redeliveredMessages,
    unreadableMessages: c.unreadableMessages,
    heartbeats: c.heartbeats,
    protocolErrors: c.protocolErrors,
  };
}

/** Rates from two totals and the time between them. */
export function ratesOf(before: Totals, after: Totals, elapsedMs: number): Rates {
  const rate = (a: number, b: number) =>
    elapsedMs > 0 ? Math.round(((b - a) * 1000) / elapsedMs) : 0;
  return {
    publishedMessages: rate(before.publishedMessages, after.publishedMessages),
    publishedBytes: rate(before.publishedBytes, after.publishedBytes),
    deliveredMessages: rate(before.deliveredMessages, after.deliveredMessages),
    deliveredBytes: rate(before.deliveredBytes, after.deliveredBytes),
    ackedMessages: rate(before.ackedMessages, after.ackedMessages),
  };
}

export function bucketsOf(broker: Broker): Snapshot['buckets'] {
  const { buckets } = broker;
  const top = buckets.largest(BUCKETS_MAX).map((slot) => ({
    id: buckets.idOf(slot),
    ready: buckets.readyOf(slot),
    unacked: buckets.unackedOf(slot),
    consumers: buckets.share(slot)?.consumers ?? 0,
    exact: buckets.isCounted(slot),
  }));
  const { count, ready, unacked, forgetful } = buckets;
  return { count, exact: !forgetful, ready, unacked, top };
}

export function connectionsOf(broker: Broker): {
  intake: number;
  exhaust: number;
  refused: number;
  list: ConnectionSnapshot[];
} {
  const list: ConnectionSnapshot[] = [];
  const now = broker.nowMs();
  for (const producer of broker.producers) {
    if (list.length >= CONNECTIONS_MAX / 2) break;
    list.push(common(producer, 'intake', now));
  }
  for (const consumer of broker.consumers) {
    if (list.length >= CONNECTIONS_MAX) break;
    const { consumerId, slot, batchSize, unacked } = consumer;
    const bucket = slot === 0 ? {} : { bucket: broker.buckets.idOf(slot) };
    list.push({ ...common(consumer, 'exhaust', now), consumerId, ...bucket, batchSize, unacked });
  }
  return {
    intake: broker.producers.size,
    exhaust: broker.consumers.size,
    refused: broker.counters.refusedConnections,
    list,
  };
}

function common(
  session: Producer | Consumer,
  side: 'intake' | 'exhaust',
  now: number,
): ConnectionSnapshot {
  const { link, messages, bytes } = session;
  return {
    id: link.id,
    side,
    peer: link.peer,
    wire: link.wire === WIRE_U64 ? 'u64' : 'u32',
    messages,
    bytes,
    idleMs: Math.max(0, Math.round(now - session.heardMs)),
  };
}
