// Work beside the broker: which kind of break follows a piece, and how large that is.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IDLE, Throttle } from '../../../src/log/files/throttle.ts';

function recorded() {
  const taken: string[] = [];
  const turn = (name: string) => (call: () => void) => {
    taken.push(name);
    call();
  };
  const foreground = { ...IDLE };
  const pace = new Throttle(
    { soon: turn('soon'), shortDelay: turn('short'), idleDelay: turn('idle') },
    foreground,
  );
  return { pace, taken, foreground };
}

test('pieces are large and follow each other at once', () => {
  const { pace, taken } = recorded();
  let calls = 0;
  pace.next(() => calls++);
  pace.resume(() => calls++);
  pace.later(() => calls++, true);
  pace.later(() => calls++, false);
  assert.equal(calls, 4);
  assert.deepEqual(taken, ['soon', 'soon', 'idle']);
  assert.equal(pace.piece(1, 100), 100);
});

test('they are small and followed by a break while others wait', () => {
  const { pace, taken, foreground } = recorded();
  foreground.latencySensitive = true;
  let calls = 0;
  pace.next(() => calls++);
  pace.resume(() => calls++);
  pace.later(() => calls++, true);
  pace.later(() => calls++, false);
  assert.equal(calls, 4);
  assert.deepEqual(taken, ['short', 'short', 'short', 'idle']);
  assert.equal(pace.piece(10, 100), 10);
  assert.equal(pace.piece(10, 100, 1), 10);
  foreground.largeWrites = true;
  assert.equal(pace.piece(10, 100), 10);
  assert.equal(pace.piece(10, 100, 1), 1);
});
