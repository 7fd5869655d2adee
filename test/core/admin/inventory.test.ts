// Pages of buckets: in each order every bucket once, in bounded turns; cursors are checked.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cursorText, type Place, pageOf, parseCursor } from '../../../src/core/admin/inventory.ts';
import { brokerOf } from '../../support/world.ts';

const BUCKETS = 37;

function setUp() {
  const world = brokerOf();
  for (let bucket = 1; bucket <= BUCKETS; bucket++)
    world.publish(bucket, ...Array.from({ length: 1 + (bucket % 5) }, () => 'x'));
  return world.broker;
}

for (const sort of ['backlog', 'age', 'rate', 'id'] as const)
  for (const limit of [1, 4, 36, 37, 100])
    test(`by ${sort}, ${limit} at a time: every bucket once, in order`, () => {
      const broker = setUp();
      const ids: string[] = [];
      let cursor: Place | undefined;
      for (let more = true; more; ) {
        let answered = false;
        pageOf(
          broker,
          { sort, limit, cursor, prefix: undefined, kind: 0 },
          (call) => call(),
          (slots, next) => {
            answered = true;
            assert.ok(slots.length <= limit);
            assert.ok(slots.length > 0, 'a page that leads nowhere');
            assert.ok(ids.length < BUCKETS, 'pages without end');
            ids.push(...slots.map((slot) => broker.buckets.idOf(slot)));
            cursor = next && parseCursor(sort, cursorText(sort, next));
            assert.equal(cursor === undefined, next === undefined, 'a cursor is read back');
            more = next !== undefined;
          },
        );
        assert.ok(answered);
      }
      assert.equal(new Set(ids).size, ids.length);
      assert.equal(ids.length, BUCKETS);
      const { buckets } = broker;
      const backlogs = ids.map((id) => buckets.readyOf(buckets.find(Number(id), 0)));
      if (sort === 'backlog')
        assert.deepEqual(
          backlogs,
          [...backlogs].sort((a, b) => b - a),
        );
      if (sort === 'id' || sort === 'age')
        assert.deepEqual(
          ids.map(Number),
          [...ids.map(Number)].sort((a, b) => a - b),
        );
    });

test('a prefix is one of the id in decimal', () => {
  const broker = setUp();
  const query = { sort: 'id', limit: 100, cursor: undefined, prefix: '3', kind: 0 } as const;
  pageOf(
    broker,
    query,
    (call) => call(),
    (slots, next) => {
      const ids = slots.map((slot) => broker.buckets.idOf(slot));
      assert.deepEqual(ids, ['3', '30', '31', '32', '33', '34', '35', '36', '37']);
      assert.equal(next, undefined);
    },
  );
});

test('what is no cursor, or one of another order, is none', () => {
  const place = { value: 3, high: 1, low: 2 };
  assert.deepEqual(parseCursor('age', cursorText('age', place)), place);
  assert.equal(parseCursor('rate', cursorText('age', place)), undefined);
  for (const text of ['', 'age', 'age:1:2', 'age:1:2:', 'age:1:2:x', 'age:1:2:3:4'])
    assert.equal(parseCursor('age', text), undefined, text);
});
