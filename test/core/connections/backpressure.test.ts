// Why a peer is not read: the link is paused by the first reason and resumed by the last, in
// whatever order they come and go.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  Backpressure,
  MEMORY,
  OUTPUT,
  ROOM,
  STOPPED,
} from '../../../src/core/connections/backpressure.ts';

const REASONS = [ROOM, MEMORY, OUTPUT, STOPPED];

/** A link that counts, and whose state must be what the reasons say. */
class FakeLink {
  pauses = 0;
  resumes = 0;

  get isPaused(): boolean {
    return this.pauses > this.resumes;
  }

  pause(): void {
    assert.ok(!this.isPaused, 'paused twice');
    this.pauses++;
  }

  resume(): void {
    assert.ok(this.isPaused, 'resumed although it was read');
    this.resumes++;
  }
}

// Every order in which each of the reasons begins, and ends after that.
function* orders(begun: number[] = [], ended: number[] = []): Generator<number[]> {
  if (ended.length === REASONS.length) yield [];
  for (const reason of REASONS) {
    if (!begun.includes(reason))
      for (const rest of orders([...begun, reason], ended)) yield [reason, ...rest];
    else if (!ended.includes(reason))
      for (const rest of orders(begun, [...ended, reason])) yield [-reason, ...rest];
  }
}

test('held back by any reason, read again when there is none, in every order of four', () => {
  let walked = 0;
  for (const order of orders()) {
    const link = new FakeLink();
    const backpressure = new Backpressure(link);
    const reasons = new Set<number>();
    for (const step of order) {
      const reason = Math.abs(step);
      if (step > 0) {
        reasons.add(reason);
        backpressure.hold(reason);
      } else {
        reasons.delete(reason);
        backpressure.release(reason);
      }
      assert.equal(link.isPaused, reasons.size > 0, `${order}`);
      assert.equal(backpressure.isHeld, reasons.size > 0);
      for (const each of REASONS) assert.equal(backpressure.has(each), reasons.has(each));
    }
    assert.equal(link.isPaused, false);
    walked++;
  }
  assert.equal(walked, 2520); // 8! / 2^4
});

test('a reason that comes twice is one, and one that is not there may end', () => {
  const link = new FakeLink();
  const backpressure = new Backpressure(link);
  backpressure.release(ROOM);
  backpressure.hold(ROOM);
  backpressure.hold(ROOM);
  backpressure.release(MEMORY);
  assert.ok(link.isPaused);
  backpressure.release(ROOM);
  backpressure.release(ROOM);
  assert.deepEqual([link.pauses, link.resumes], [1, 1]);
});

test('who is lifted and held again meanwhile was never read', () => {
  const link = new FakeLink();
  const backpressure = new Backpressure(link);
  backpressure.hold(ROOM);
  backpressure.lift(ROOM);
  assert.equal(backpressure.isHeld, false);
  assert.ok(link.isPaused);
  backpressure.hold(ROOM);
  backpressure.resume();
  assert.deepEqual([link.pauses, link.resumes], [1, 0]);
  backpressure.release(ROOM);
  assert.deepEqual([link.pauses, link.resumes], [1, 1]);
});

test('one of several reasons is enough to be asked for together', () => {
  const backpressure = new Backpressure(new FakeLink());
  backpressure.hold(STOPPED);
  assert.ok(backpressure.has(ROOM | STOPPED));
  assert.equal(backpressure.has(ROOM | MEMORY | OUTPUT), false);
});
