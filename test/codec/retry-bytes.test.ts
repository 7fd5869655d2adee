// The bytes that ask for a delay: never shorter than asked for, never twice as long, and all others
// ask for none.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import * as layout from '../../assembly/layout.ts';
import { RETRY_MS_MAX, retryByte, retryMs } from '../../src/codec/retry-bytes.ts';

const seed = Number(process.env.THRUSTMQ_TEST_SEED ?? Date.now() % 2_147_483_647);
console.log(`retry-bytes.test seed ${seed} (THRUSTMQ_TEST_SEED=${seed} repeats it)`);

test('the bytes of the contract', () => {
  const { ACK_FAILED, ACK_DONE, ACK_REJECTED, ACK_RELEASED, ACK_WORKING } = layout;
  const named = [ACK_FAILED, ACK_DONE, ACK_REJECTED, ACK_RELEASED, ACK_WORKING];
  assert.deepEqual(named, [0, 1, 2, 3, 0xff]);
  const asked: [number, number, number][] = [
    [0, 0x40, 0x60],
    [0.5, 0x40, 0x60],
    [1, 0x40, 0x60],
    [1.5, 0x41, 0x61],
    [2, 0x41, 0x61],
    [3, 0x42, 0x62],
    [1000, 0x4a, 0x6a],
    [30_000, 0x4f, 0x6f],
    [2 ** 30 + 1, 0x5f, 0x7f],
    [RETRY_MS_MAX, 0x5f, 0x7f],
  ];
  for (const [ms, charged, free] of asked)
    assert.deepEqual([retryByte(ms, true), retryByte(ms, false)], [charged, free], `${ms} ms`);
});

test('each of the 256 says one delay, or none', () => {
  for (let byte = 0; byte < 256; byte++) {
    const delay = byte >= 0x40 && byte < 0x80;
    assert.equal(retryMs(byte), delay ? 2 ** (byte & 0x1f) : undefined, String(byte));
    if (delay) assert.equal(retryByte(retryMs(byte)!, byte < 0x60), byte);
  }
});

test('a delay is as long as was asked for at least, and less than twice that', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 1, max: RETRY_MS_MAX, noNaN: true }),
      fc.boolean(),
      (ms, charged) => {
        const byte = retryByte(ms, charged);
        const delayMs = retryMs(byte)!;
        assert.ok(delayMs >= ms && delayMs < 2 * ms, `${ms} became ${delayMs}`);
        assert.equal(byte < 0x60, charged);
      },
    ),
    { seed },
  );
});

test('what is no delay, or longer than a byte can say, is refused', () => {
  for (const ms of [-1, Number.NaN, Number.POSITIVE_INFINITY, RETRY_MS_MAX + 1])
    assert.throws(() => retryByte(ms, true), RangeError);
});
