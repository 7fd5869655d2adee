// What each of the 256 bytes means that a consumer may answer a message with.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  acksIn,
  DONE,
  delayOf,
  FAILED,
  isFree,
  REJECTED,
  RELEASED,
  sameUntil,
  VERDICTS,
  WORKING,
} from '../../../src/core/delivery/verdict.ts';
import { Random, seedOf } from '../../support/random.ts';

const seed = seedOf('core/delivery/verdict.test');

test('each of the 256 bytes means what the contract says', () => {
  assert.equal(VERDICTS.length, 256);
  for (let byte = 0; byte < 256; byte++) {
    const verdict = VERDICTS[byte]!;
    if (byte === 1) {
      assert.equal(verdict, DONE);
      continue;
    }
    if (byte === 255) {
      assert.equal(verdict, WORKING);
      continue;
    }
    const isTimed = byte >= 0x40 && byte <= 0x7f;
    assert.equal(verdict === REJECTED, byte === 2, `byte ${byte}`);
    const free = byte === 3 || (byte >= 0x60 && byte <= 0x7f);
    assert.equal(verdict === FAILED, !isTimed && byte !== 2 && byte !== 3, `byte ${byte}`);
    assert.equal(verdict === RELEASED, byte === 3, `byte ${byte}`);
    assert.equal(isFree(verdict), free, `byte ${byte}`);
    assert.equal(delayOf(verdict), isTimed ? 2 ** (byte % 32) : undefined, `byte ${byte}`);
  }
});

test('the longest time that a byte names is 2^31 ms', () => {
  assert.equal(delayOf(VERDICTS[0x40]!), 1);
  assert.equal(delayOf(VERDICTS[0x48]!), 256);
  assert.equal(delayOf(VERDICTS[0x5f]!), 2_147_483_648);
  assert.equal(delayOf(VERDICTS[0x7f]!), 2_147_483_648);
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
