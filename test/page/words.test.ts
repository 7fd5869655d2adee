// The one sentence about the state: the worst comes first, and it does not claim what is not known.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BucketRow } from '../../src/contract/commands.ts';
import type { Snapshot } from '../../src/contract/snapshot.ts';
import { WHY, type WhyCode } from '../../src/contract/why.ts';
import type { Overview } from '../../src/page/types.ts';
import { msToFull, statusOf } from '../../src/page/words.ts';
import { fakeSnapshot } from '../cli/fake-server.ts';

function overview(change: Partial<Snapshot> = {}, counts = {}): Overview {
  const snapshot = fakeSnapshot(change);
  return { ...snapshot, buckets: { ...snapshot.buckets, ...counts }, readOnly: false };
}

function row(code: WhyCode, ready = 1): BucketRow {
  const why = { code, text: WHY[code] };
  const rates = { publishedRate: 0, settledRate: 0, oldestAgeMs: 5, ageIs: 'exact' as const };
  const counts = { ready, unacked: 0, delayed: 0, nextDueAt: null, dead: 0, consumers: 0 };
  return { id: '1', ...counts, exact: true, ...rates, paused: false, why };
}

test('from nothing to do to the worst', () => {
  const idle = overview({}, { ready: 0, unacked: 0 });
  assert.equal(statusOf(idle, [], true).text, 'Everything is delivered');
  const later = overview({}, { ready: 0, unacked: 0, delayed: 2 });
  assert.equal(statusOf(later, [], true).text, '2 messages wait for a time');
  const held = overview({}, { ready: 0, unacked: 1200 });
  assert.equal(statusOf(held, [], true).text, 'Everything is delivered, 1,200 not acked yet');
  const busy = overview({}, { ready: 1, unacked: 0 });
  assert.equal(statusOf(busy, [], true).text, '1 message waits; deliveries go on');
  assert.equal(statusOf(overview({}, { paused: 2 }), [], true).text, '2 buckets are paused');
  const weak = overview({ warning: 'acks are weaker' });
  assert.deepEqual(statusOf(weak, [], true), { level: 'warn', text: 'Acks are weaker' });
  const alone = [row('no-consumer'), row('no-consumer'), row('no-consumer', 0), row('delivering')];
  assert.equal(statusOf(weak, alone, true).text, '2 buckets wait without a consumer');
  assert.equal(statusOf(weak, alone, false).text, 'At least 2 buckets wait without a consumer');
  const log = fakeSnapshot().log;
  const full = overview({ log: { ...log, state: 'full' } });
  assert.match(statusOf(full, alone, true).text, /^The disk is full/);
  assert.equal(statusOf(overview({ log: { ...log, state: 'failed' } }), [], true).level, 'bad');
});

test('the time until the disk is full follows the pace, and only where it grows', () => {
  assert.equal(msToFull([], 100), undefined);
  assert.equal(
    msToFull(
      [
        [0, 5],
        [1000, 6],
      ],
      100,
    ),
    undefined,
    'too short to tell',
  );
  assert.equal(
    msToFull(
      [
        [0, 100],
        [100_000, 100],
      ],
      100,
    ),
    undefined,
  );
  assert.equal(
    msToFull(
      [
        [0, 100],
        [100_000, 90],
      ],
      100,
    ),
    undefined,
  );
  assert.equal(
    msToFull(
      [
        [0, 0],
        [100_000, 1000],
      ],
      5000,
    ),
    500_000,
  );
});
