// What is in force for a bucket, as the broker uses it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileRules } from '../../../src/core/rules/compile.ts';
import { keepsDead } from '../../../src/core/rules/effective.ts';
import { lowOf } from '../../../src/core/rules/match.ts';
import { rulesOf } from './world.ts';

test('gives values ready to be used', () => {
  const id = 0x1_2345_6789n;
  const table = compileRules(
    rulesOf(
      'a 100-199 retry=1s,1500ms retry_jitter=0.5 max_deliveries=3 dead_letter=4886718345 dead_keep=1h isolate=false',
      'b 150 lease=2s delay=3s ttl=4s expired=drop max_messages=5 max_bytes=6KiB overflow=dead-oldest',
      'c 1-1000 max_in_flight=7 rate=0.5 dedup=8s copy_to=5000,4886718345 weight=9 priority=10',
      'd 2000 sources=100-199,3000 order=strict',
    ),
  );
  const found = table.effectiveFor(150n);
  const { values: _, ...rest } = found;
  assert.deepEqual(rest, {
    retryMs: [1000, 1500],
    retryJitter: 0.5,
    maxDeliveries: 3,
    deadLetter: 'move',
    deadLow: lowOf(id),
    deadHigh: 1,
    deadKeepMs: 3_600_000,
    isolate: false,
    leaseMs: 2000,
    delayMs: 3000,
    ttlMs: 4000,
    expired: 'drop',
    maxMessages: 5,
    maxBytes: 6144,
    overflow: 'dead-oldest',
    maxInFlight: 7,
    rate: 0.5,
    dedupMs: 8000,
    batchMax: 65_536,
    copyTo: Uint32Array.of(5000, 0, lowOf(id), 1),
    isVirtual: false,
    order: 'fair',
    weight: 9,
    priority: 10,
    hasParent: true,
    parentLow: 2000,
    parentHigh: 0,
    beforePacking: true,
  });
});

test('knows what has to be decided before packing', () => {
  const cases: [string, boolean][] = [
    ['lease=1s', false],
    ['delay=1s', true],
    ['delay=0s', false],
    ['dedup=1s', true],
    ['copy_to=9', true],
    ['max_messages=1', true],
    ['max_bytes=1', true],
    ['max_bytes=1 overflow=drop-oldest', false],
    ['overflow=refuse', false],
  ];
  for (const [words, wanted] of cases)
    assert.equal(
      compileRules(rulesOf(`a 7 ${words}`)).effectiveFor(7n).beforePacking,
      wanted,
      words,
    );
});

test('a bucket that is the dead letter of many keeps its own dead messages', () => {
  const table = compileRules(rulesOf('all * dead_letter=9'));
  const effective = table.effectiveFor(9n);
  assert.deepEqual(
    [keepsDead(effective, 9, 0), keepsDead(effective, 9, 1), keepsDead(effective, 8, 0)],
    [true, false, false],
  );
  const shown = (id: bigint) => table.explain(id).keys.find(({ key }) => key === 'dead_letter');
  assert.deepEqual(shown(9n), { key: 'dead_letter', value: 'keep', rule: 'all' });
  assert.deepEqual(shown(8n), { key: 'dead_letter', value: '9', rule: 'all' });
  assert.equal(keepsDead(compileRules([]).setOf(0), 9, 0), true);
});
