// What each of the 256 bytes means that a consumer may answer a message with.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  acksIn,
  DONE,
  FAILED,
  sameUntil,
  VERDICTS,
  WORKING,
} from '../../../src/core/delivery/verdict.ts';
import { Random, seedOf } from '../../support/random.ts';

const seed = seedOf('core/delivery/verdict.test');

test('1 is done, 255 is no ack, and each of the 254 others has failed', () => {
  assert.equal(VERDICTS.length, 256);
  for (let byte = 0; byte < 255; byte++)
    assert.equal(VERDICTS[byte], byte === 1 ? DONE : FAILED, `byte ${byte}`);
  assert.equal(VERDICTS[255], WORKING);
});

test('acks are counted without the bytes that are none', () => {
  assert.equal(acksIn(Uint8Array.of()), 0);
  assert.equal(acksIn(Uint8Array.from({ length: 256 }, (_, byte) => byte)), 255);
  assert.equal(acksIn(new Uint8Array(65_536).fill(255)), 0);
  assert.equal(acksIn(Uint8Array.of(255, 1, 255, 255, 0, 255)), 2);
});

test('a run ends before the first byte that means something else, for each pair of bytes', () => {
  for (let first = 0; first < 256; first++)
    for (let second = 0; second < 256; second++) {
      const same = VERDICTS[first] === VERDICTS[second];
      const bytes = Uint8Array.of(first, second, second);
      assert.equal(sameUntil(bytes, 0, 3), same ? 3 : 1, `${first}, ${second}`);
      assert.equal(sameUntil(bytes, 0, 2), same ? 2 : 1, 'no further than it may');
      assert.equal(sameUntil(bytes, 2, 3), 3);
    }
});

test(`runs of random bytes cover them all, each as long as it can be (seed ${seed})`, () => {
  const random = new Random(seed);
  for (let round = 0; round < 500; round++) {
    const bytes = Uint8Array.from({ length: 1 + random.below(40) }, () =>
      random.chance(0.5) ? 1 : random.below(256),
    );
    for (let at = 0; at < bytes.length; ) {
      const end = sameUntil(bytes, at, bytes.length);
      assert.ok(end > at && end <= bytes.length);
      const verdicts = new Set([...bytes.subarray(at, end)].map((byte) => VERDICTS[byte]));
      assert.equal(verdicts.size, 1);
      if (end < bytes.length) assert.ok(!verdicts.has(VERDICTS[bytes[end]!]));
      at = end;
    }
  }
});
