// A producer that publishes everything twice, since the broker was killed in between: each message
// is stored once, and consumed once. `full-size.ts` runs it with more of everything.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random, seedOf } from '../support/random.ts';
import { onceOnly } from './once-only.ts';

const seed = seedOf('e2e/dedup.test');

test('each message sent twice with kill -9 between: stored once', async () => {
  const { all, found, ...counts } = await onceOnly({
    kills: 6,
    stopped: 0,
    messages: (random) => 200 + random.below(800),
    batch: 100,
    waitMs: 60,
    random: new Random(seed),
  });
  assert.equal(counts.refused, 0);
  assert.ok(counts.duplicates >= all.length, `${counts.duplicates} duplicates of ${all.length}`);
  assert.deepEqual([...found].sort(), [...all].sort());
  assert.equal(new Set(found).size, all.length);
  assert.equal(counts.code, 0);
});
