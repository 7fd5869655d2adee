// The queue with lasting numbers, against a plain array.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fifo } from '../../src/client/fifo.ts';

test('items keep their number while others leave', () => {
  const fifo = new Fifo<string>();
  assert.deepEqual([fifo.peek(), fifo.shift(), fifo.length], [undefined, undefined, 0]);
  for (let number = 0; number < 5000; number++) fifo.push(`item ${number}`);
  for (let number = 0; number < 5000; number++) {
    assert.deepEqual([fifo.first, fifo.next, fifo.length], [number, 5000, 5000 - number]);
    assert.equal(fifo.peek(), `item ${number}`);
    assert.equal(fifo.at(4999), 'item 4999');
    assert.equal(fifo.at(number - 1), undefined);
    assert.equal(fifo.shift(), `item ${number}`);
  }
  assert.deepEqual([fifo.first, fifo.next, fifo.at(5000)], [5000, 5000, undefined]);
});

test('a queue that never runs empty does not grow', () => {
  const fifo = new Fifo<number>();
  fifo.push(0);
  for (let number = 1; number < 100_000; number++) {
    fifo.push(number);
    assert.equal(fifo.shift(), number - 1);
    assert.equal(fifo.at(number), number);
  }
  assert.equal(fifo.length, 1);
});
