// Builds the parts of a snapshot that the core knows. Reads, changes nothing; costs one pass over
// the column of backlog counts and over the connections.

import { WIRE_U64 } from '../../../assembly/layout.ts';
import {
  KIND_LIVE,
  REASON_DELIVERIES,
  REASON_EXPIRED,
  REASON_OVERFLOW,
  REASON_REJECTED,
} from '../../../assembly/layout-placed.ts';
import type {
  ConnectionSnapshot,
  DeadTotals,
  Rates,
  Snapshot,
  Totals,
} from '../../contract/snapshot.ts';
import type { Broker } from '../broker.ts';
import type { Buckets } from '../buckets/buckets.ts';
import type { Consumer } from '../connections/consumer.ts';
import type { Producer } from '../connections/producer.ts';
import type { Counters } from '../metrics/counters.ts';

const BUCKETS_MAX = 50;
const CONNECTIONS_MAX = 100;

export function totalsOf(broker: Broker): Totals {
  const c = broker.counters;
  return {
    publishedMessages: c.publishedMessages,
    publishedBytes: c.publishedBytes,
    copiedMessages: c.copiedMessages,
    duplicateMessages: c.duplicateMessages,
    refused: {
      empty: c.refusedEmpty,
      tooLarge: c.refusedLarge,
      storageFull: c.refusedFull,
      byRule: c.refusedByRule,
    },
    deliveredMessages: c.deliveredMessages,
    deliveredBytes: c.deliveredBytes,
    ackedMessages: c.ackedMessages,
    failedMessages: c.failedMessages,
    releasedMessages: c.releasedMessages,
    dead: deadOf(c),
    deferredMessages: c.deferredMessages,
    suspectedMessages: c.suspectedMessages,
    redeliveredMessages: c.redeliveredMessages,
    unreadableMessages: c.unreadableMessages,
    purgedMessages: c.purgedMessages,
    dropped: { ...c.dropped },
    heartbeats: c.heartbeats,
    batches: c.batches,
    deliveries: c.deliveries,
    protocolErrors: c.protocolErrors,
  };
}

function deadOf(c: Counters): DeadTotals {
  return {
    maxDeliveries: c.dead[REASON_DELIVERIES]!,
    rejected: c.dead[REASON_REJECTED]!,
    expired: c.dead[REASON_EXPIRED]!,
    overflow: c.dead[REASON_OVERFLOW]!,
    dropped: c.deadDroppedMessages,
    notMoved: c.deadFallbackMessages,
    redriven: c.redrivenMessages,
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

/** Buckets' slots with the most messages ready, most first; one pass over a column of counts. */
export function largest(buckets: Buckets<unknown>, most: number): number[] {
  const top: number[] = [];
  let least = Number.NEGATIVE_INFINITY; // what must be exceeded
  buckets.eachCount((slot, ready, unacked) => {
    if (ready <= least || (ready <= 0 && unacked === 0)) return;
    if (buckets.kindOf(slot) !== KIND_LIVE) return;
    let at = top.length;
    while (at > 0 && buckets.readyOf(top[at - 1]!) < ready) at--;
    top.splice(at, 0, slot);
    if (top.length > most) top.pop();
    if (top.length === most) least = buckets.readyOf(top[most - 1]!);
  });
  return top;
}

export function bucketsOf(broker: Broker, oldestAgeMs: number): Snapshot['buckets'] {
  const { buckets } = broker;
  const top = largest(buckets, BUCKETS_MAX).map((slot) => ({
    id: buckets.idOf(slot),
    ready: buckets.readyOf(slot),
    unacked: buckets.unackedOf(slot),
    delayed: buckets.delayed.of(slot),
    consumers: consumersOf(broker, slot),
    exact: buckets.isCounted(slot),
  }));
  const { count, ready, unacked, dead, isPartial } = buckets;
  const delayed = buckets.delayed.count;
  const paused = broker.paused.count;
  const { ids } = broker.maintenance.windows;
  const recentIds = { count: ids.count, bytes: ids.bytes, bytesMax: ids.bytesMax };
  const sources = buckets.sources.count;
  const counts = { ready, unacked, delayed, dead, paused, sources };
  return { count, exact: !isPartial, ...counts, oldestAgeMs, recentIds, top };
}

// Consumers of a bucket; a purge, and a virtual bucket that it is a source of, share it, too.
function consumersOf({ buckets, dispatcher }: Broker, slot: number): number {
  const shared = buckets.subscription(slot)?.consumers ?? 0;
  const isWatched = dispatcher.virtual.watched.has(slot);
  return shared - dispatcher.takersOf(slot) - (isWatched ? 1 : 0);
}

export function connectionsOf(broker: Broker): Snapshot['connections'] {
  const { closedConnections: closed } = broker.counters;
  const list: ConnectionSnapshot[] = [];
  for (const producer of broker.producers) {
    if (list.length >= CONNECTIONS_MAX / 2) break;
    list.push(connectionOf(broker, producer));
  }
  for (const consumer of broker.consumers) {
    if (list.length >= CONNECTIONS_MAX) break;
    list.push(connectionOf(broker, consumer));
  }
  return {
    intake: broker.producers.size,
    exhaust: broker.consumers.size,
    refused: broker.counters.refusedConnections,
    opened: {
      intake: broker.producers.size + sumOf(closed.intake),
      exhaust: broker.consumers.size + sumOf(closed.exhaust),
    },
    closed: { intake: { ...closed.intake }, exhaust: { ...closed.exhaust } },
    list,
  };
}

function sumOf(counts: Record<string, number>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

/** What is known of one connection. */
export function connectionOf(broker: Broker, session: Producer | Consumer): ConnectionSnapshot {
  const now = broker.reportMs;
  if (!('consumerId' in session)) return common(session, 'intake', now);
  const { consumerId, slot, batchSize, unacked } = session;
  const bucket = slot === 0 ? {} : { bucket: broker.buckets.idOf(slot) };
  return { ...common(session, 'exhaust', now), consumerId, ...bucket, batchSize, unacked };
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
    ...(link.via === undefined ? {} : { via: link.via }),
    wire: link.wire === WIRE_U64 ? 'u64' : 'u32',
    messages,
    bytes,
    idleMs: Math.max(0, Math.round(now - session.heardMs)),
  };
}
