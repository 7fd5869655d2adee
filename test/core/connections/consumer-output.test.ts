// What a consumer was sent and has not taken: the memory of its frame comes back once, when all of
// it is taken and not before, or when the connection is gone.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConsumerOutput } from '../../../src/core/connections/consumer-output.ts';
import type { DeliveryFrames } from '../../../src/core/connections/delivery-frames.ts';
import { Budget } from '../../../src/core/memory/budget.ts';
import { FakeLink } from '../../support/world.ts';

/** An output to a peer that takes nothing by itself; of frames only their memory is made. */
function setUp() {
  const link = new FakeLink(8);
  link.stuck = true;
  const budget = new Budget(1000);
  budget.bytes = 7; // of others
  const out: Uint8Array[] = [];
  const frames = {
    take: (bytes: number) => {
      const memory = new Uint8Array(bytes);
      out.push(memory);
      return memory;
    },
    close: (_count: number, _bytes: number, memory: Uint8Array) => memory,
    give: (memory: Uint8Array) => {
      assert.ok(out.includes(memory), 'memory was given back twice');
      out.splice(out.indexOf(memory), 1);
    },
  };
  const output = new ConsumerOutput(link, { frames: frames as unknown as DeliveryFrames, budget });
  return { link, budget, out, output };
}

test('counts what is not taken, and gives memory back when all is', () => {
  const { link, budget, out, output } = setUp();
  output.sendFrame(1, 100);
  assert.equal(output.drained(), false);
  assert.deepEqual([output.queuedBytes, budget.bytes, out.length], [100, 107, 1]);
  link.queuedBytes = 40;
  assert.equal(output.drained(), false, 'a part of it');
  assert.deepEqual([output.queuedBytes, budget.bytes, out.length], [40, 47, 1]);
  link.queuedBytes = 0;
  assert.equal(output.drained(), true);
  assert.deepEqual([output.queuedBytes, budget.bytes, out.length], [0, 7, 0]);
  assert.equal(output.drained(), false, 'nobody waited for that');
});

test('what is taken at once was not waited for', () => {
  const { link, budget, out, output } = setUp();
  link.stuck = false;
  for (let i = 0; i < 3; i++) {
    output.sendFrame(1, 100);
    assert.equal(output.drained(), false);
    assert.deepEqual([budget.bytes, out.length], [7, 0]);
  }
});

test('a connection that is gone holds nothing any more', () => {
  const { budget, out, output } = setUp();
  output.sendFrame(1, 100);
  output.drained();
  output.end();
  assert.deepEqual([output.queuedBytes, budget.bytes, out.length], [0, 7, 0]);
});
