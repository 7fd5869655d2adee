// What strikes measure: until the first ack of the next owner, never one that the last one had
// sent, and how often it was more than it may be.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../support/random.ts';
import { Measured } from './index.ts';
import { Load } from './load.ts';

test('an ack counts for the next owner only on a connection that is made anew', async () => {
  await using load = new Load({
    ...{ intake: [], exhaust: [], random: new Random(1), producers: 0, consumers: 0 },
  });
  const { history } = load;
  const side = { side: 'producer', client: 'one', to: 'a node', bucket: -1, batch: 0 } as const;
  const before = history.open(side);
  const number = history.next(5);
  let isAcked = false;
  const acked = load.ackedAnew().then(() => {
    isAcked = true;
  });
  history.answered(before, number, true); // it was on its way
  history.close(before);
  await Promise.resolve();
  assert.equal(isAcked, false);
  const after = history.open(side);
  history.answered(after, number, false);
  await Promise.resolve();
  assert.equal(isAcked, false);
  history.answered(after, number, true);
  await acked;
});

test('figures: median, least, most, and how many were over their bound', () => {
  const measured = new Measured({ bounds: { 'until the next ack': 2000 } });
  for (const ms of [1700, 2001, 1500])
    measured.add({ 'until the next ack': ms, 'a change': ms / 10 });
  assert.equal(
    String(measured),
    '; until the next ack: median 1700 ms, 1500 to 2001, 3 times, 1 of them over 2000 ms' +
      '; a change: median 170 ms, 150 to 200, 3 times',
  );
});
