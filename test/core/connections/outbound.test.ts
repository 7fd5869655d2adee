// Replies that a producer does not read: counted, held against it above a bound, and timed from
// when the first of them stayed lying.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backpressure, OUTPUT } from '../../../src/core/connections/backpressure.ts';
import { Outbound } from '../../../src/core/connections/outbound.ts';
import { Budget } from '../../../src/core/memory/budget.ts';
import { FakeLink } from '../../support/world.ts';

const PEER_BYTES_MAX = 100;

function setUp() {
  const link = new FakeLink(8);
  link.stuck = true;
  const backpressure = new Backpressure(link);
  const budget = new Budget(1000);
  budget.bytes = 7; // of others
  const time = { ms: 50 };
  const host = {
    limits: { peerBytesMax: PEER_BYTES_MAX },
    memory: { budget },
    turns: { nowMs: () => time.ms },
  };
  return { link, backpressure, budget, time, outbound: new Outbound(host, link, backpressure) };
}

test('who leaves more lying than it may is held back until it has taken it', () => {
  const { link, backpressure, budget, outbound } = setUp();
  outbound.send(new Uint8Array(PEER_BYTES_MAX));
  assert.ok(!backpressure.has(OUTPUT), 'so much it may');
  outbound.send(new Uint8Array(1));
  assert.ok(backpressure.has(OUTPUT) && link.paused);
  assert.deepEqual([outbound.queuedBytes, budget.bytes], [101, 108]);
  link.queuedBytes = 0;
  assert.equal(outbound.drained(), true, 'that was why');
  assert.ok(!backpressure.isHeld);
  assert.deepEqual([outbound.queuedBytes, budget.bytes], [0, 7]);
  assert.equal(outbound.drained(), false);
});

test('since when: the first of what lies there; a new time when all was taken', () => {
  const { link, time, outbound } = setUp();
  assert.equal(outbound.stuckSinceMs, -1);
  outbound.send(new Uint8Array(10));
  time.ms = 60;
  outbound.send(new Uint8Array(10));
  link.queuedBytes = 5;
  time.ms = 70;
  outbound.drained();
  assert.equal(outbound.stuckSinceMs, 50);
  link.queuedBytes = 0;
  outbound.drained();
  assert.equal(outbound.stuckSinceMs, -1);
  outbound.send(new Uint8Array(1));
  assert.equal(outbound.stuckSinceMs, 70);
});

test('to who is gone nothing is sent, and nothing is counted, whatever its link says', () => {
  const { link, budget, outbound } = setUp();
  outbound.send(new Uint8Array(10));
  outbound.gone();
  assert.deepEqual([outbound.queuedBytes, budget.bytes], [0, 7]);
  outbound.send(new Uint8Array(10));
  assert.equal(link.pieces.length, 1);
  assert.equal(outbound.drained(), false);
  assert.deepEqual([outbound.queuedBytes, budget.bytes], [0, 7]);
});
