// What the broker counted must be what happened to the messages of a world.

import assert from 'node:assert/strict';
import type { Counters } from '../../src/core/metrics/counters.ts';
import type { Expected } from './model.ts';

/** Compares the numbers between two events; of what is redelivered the model knows bounds. */
export function judgeCounters(counters: Counters, expected: Expected): void {
  assert.deepEqual(
    {
      published: counters.publishedMessages,
      copied: counters.copiedMessages,
      delivered: counters.deliveredMessages,
      acked: counters.ackedMessages,
      failed: counters.failedMessages,
      released: counters.releasedMessages,
      dropped: counters.dropped,
      deferred: counters.deferredMessages,
      rejected: counters.rejectedMessages,
      dead: counters.dead,
      discarded: counters.deadDroppedMessages,
      fallback: counters.deadFallbackMessages,
      redriven: counters.redrivenMessages,
      heartbeats: counters.heartbeats,
      protocolErrors: counters.protocolErrors,
    },
    {
      published: expected.published,
      copied: expected.copied,
      delivered: expected.delivered,
      acked: expected.acked,
      failed: expected.failed,
      released: expected.released,
      dropped: expected.dropped,
      deferred: expected.deferred,
      rejected: expected.rejected,
      dead: expected.dead,
      discarded: expected.discarded,
      fallback: expected.fallback,
      redriven: expected.redriven,
      heartbeats: expected.heartbeats,
      protocolErrors: 0,
    },
  );
  const { lease } = counters.closedConnections.exhaust;
  assert.ok(lease <= expected.leasesOver, `${lease} connections closed by leases`);
  const { redeliveredMessages: again } = counters;
  const [few, many] = [expected.redeliveredLow, expected.redeliveredHigh];
  assert.ok(again >= few && again <= many, `${again} redelivered, not ${few} to ${many}`);
}

/** A count is the model's, or less by those of which the model does not know: `open` at most. */
export function judgeCount(count: number, most: number, open: number, what: string): void {
  assert.ok(count <= most && count >= most - open, `${count} ${what}, not ${most}, ${open} open`);
}
