// When messages that are put off are ready again: the delay of their attempt, what of it is left to
// chance, who stays together; and what of it the log is told.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CAUSE_FAILED, CAUSE_RELEASED, KIND_LIVE } from '../../../assembly/layout-placed.ts';
import type { Buckets } from '../../../src/core/buckets/buckets.ts';
import type { Slice } from '../../../src/core/buckets/slice.ts';
import { noOutcomes } from '../../../src/core/collections/outcomes.ts';
import type { Commit } from '../../../src/core/commit/commit.ts';
import { Deferrals, TOGETHER } from '../../../src/core/delivery/deferrals.ts';
import type { Deferral } from '../../../src/core/records/placed.ts';
import { Random, seedOf } from '../../support/random.ts';
import { rulesOf } from '../../support/world.ts';

const seed = seedOf('core/delivery/deferrals.test');
const NOW_MS = 1_700_000_000_003;

interface Desk {
  deferrals: Deferrals;
  outcomes: ReturnType<typeof noOutcomes>;
  told: Deferral[];
  put: (count: number, ms: number, jitter?: number, cause?: number) => Deferral[];
}

/** Messages from sequence 100 on, of the bucket 2^32 + 7; `chance` is drawn again and again. */
function desk(chance: () => number, rules?: string, places = true): Desk {
  const outcomes = noOutcomes();
  const told: Deferral[] = [];
  const table = rules === undefined ? undefined : rulesOf(rules);
  const buckets = {
    outcomes,
    placeOf: () => ({ low: 7, high: 1, next: 0 }),
    rules: { table, of: () => table!.setOf(table!.resolve(7, 1)) },
    delayed: { defer: () => {} },
  };
  const parts = {
    buckets: buckets as unknown as Buckets<unknown>,
    commit: {
      defer: (deferral: Deferral) => void told.push(deferral),
      marks: { mayDefer: (_refuses: boolean) => true, places } as Commit['marks'],
      refuses: false,
    },
  };
  const deferrals = new Deferrals(parts, { wallMs: () => NOW_MS, random: chance });
  const part: Slice = {
    slot: 1,
    position: 0,
    sequence: 100,
    first: 0,
    count: 1000,
    messages: 1000,
    bodyBytes: 1,
    attempts: 2,
    level: 0,
  };
  const put: Desk['put'] = (count, ms, jitter = 0, cause = CAUSE_FAILED) => {
    deferrals.put(part, 0, count, { attempts: 3, level: 0, cause, delay: { ms, jitter } });
    return told.splice(0);
  };
  return { deferrals, outcomes, told, put };
}

test('a rule has a delay for each attempt, and the last repeats', () => {
  const { deferrals } = desk(() => 0, '* retry=0s,1s,5s,30s retry_jitter=0.5');
  const msOf = (attempts: number) => deferrals.retry(1, attempts).ms;
  assert.deepEqual([1, 2, 3, 4, 5, 70_000].map(msOf), [0, 1000, 5000, 30_000, 30_000, 30_000]);
  assert.deepEqual(deferrals.retry(1, 2), { ms: 1000, jitter: 0.5 });
  assert.equal(desk(() => 0, '* batch=1').deferrals.retry(1, 1).ms, 0, 'the default is at once');
  assert.equal(desk(() => 0).deferrals.retry(1, 1).ms, 0, 'and so it is without rules');
});

test('neighbours are one mark, and never ready before their time', () => {
  const { put, outcomes } = desk(() => 0.9);
  const [deferral, ...others] = put(1000, 256);
  assert.deepEqual(others, []);
  const { dueMs, ...said } = deferral!;
  assert.ok(dueMs >= NOW_MS + 256 && dueMs < NOW_MS + 256 + 8, `${dueMs - NOW_MS} ms`);
  const which = { sequence: 100, count: 1000, bucket: (1n << 32n) + 7n, kind: KIND_LIVE };
  assert.deepEqual(said, { ...which, turn: 1, attempts: 3, level: 0, cause: CAUSE_FAILED });
  assert.deepEqual(outcomes.attempts.get(1099), 3, 'attempts count at once');
  assert.equal(outcomes.turns.get(100), 0, 'turns once it is durable');
  assert.equal(put(1, 1, 0, CAUSE_RELEASED)[0]!.cause, CAUSE_RELEASED);
});

test('the longest delay of a byte is possible', () => {
  assert.ok(desk(() => 0).put(1, 2 ** 31)[0]!.dueMs >= NOW_MS + 2 ** 31);
});

test('each message takes the turn behind its own', () => {
  const { put, outcomes } = desk(() => 0);
  outcomes.turns.set(103, 2, 6);
  assert.deepEqual(
    put(10, 500).map(({ sequence, count, turn }) => [sequence, count, turn]),
    [
      [100, 3, 1],
      [103, 2, 7],
      [105, 5, 1],
    ],
  );
});

test('chance takes its share of a delay, for 64 neighbours together', () => {
  assert.equal(TOGETHER, 64);
  const random = new Random(seed);
  const { put } = desk(() => random.next() / 2 ** 32);
  for (const jitter of [0.1, 0.5, 1]) {
    const delays: number[] = [];
    for (let round = 0; round < 40; round++)
      for (const { count, dueMs } of put(1000, 60_000, jitter)) {
        assert.ok(count <= TOGETHER);
        delays.push(dueMs - NOW_MS);
      }
    assert.equal(delays.length, 40 * Math.ceil(1000 / TOGETHER));
    const [least, most] = [Math.min(...delays), Math.max(...delays)];
    assert.ok(least >= 60_000 * (1 - jitter) && most < 60_000 + 8, `${least} to ${most}`);
    assert.ok(most - least > 60_000 * jitter * 0.9, `${least} to ${most} at ${jitter}`);
  }
});
