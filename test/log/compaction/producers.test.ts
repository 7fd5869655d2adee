// Last numbers of producers: the newest of each stays, as it stood.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PRODUCER_BYTES, PRODUCER_NUMBER_AT } from '../../../assembly/layout-placed.ts';
import { NewestProducers } from '../../../src/log/compaction/producers.ts';

function mark(id: number, number: number): Uint8Array {
  const bytes = new Uint8Array(PRODUCER_BYTES).fill(id, 0, PRODUCER_NUMBER_AT);
  bytes[PRODUCER_NUMBER_AT] = number;
  return bytes;
}

test('of each producer what was heard last, in the order of that', () => {
  const newest = new NewestProducers();
  const body = new Uint8Array(8 + 3 * PRODUCER_BYTES);
  for (const [i, each] of [mark(1, 10), mark(2, 20), mark(11, 1)].entries())
    body.set(each, 8 + i * PRODUCER_BYTES);
  newest.add(body, 8, 3);
  body.fill(0);
  newest.add(mark(1, 9), 0, 1);
  const found = [...newest.marks()].map((bytes) => [...bytes]);
  assert.deepEqual(
    found,
    [mark(2, 20), mark(11, 1), mark(1, 9)].map((bytes) => [...bytes]),
  );
});
