// The header of a consumer, in any pieces.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CONSUMER_HEADER_BYTES } from '../../../assembly/layout.ts';
import { encodeConsumerHeader } from '../../../src/codec/wire.ts';
import { ConsumerHeaderReader } from '../../../src/core/connections/consumer-header.ts';

const bytes = encodeConsumerHeader({
  consumerId: 2n ** 64n - 2n,
  bucket: (7n << 32n) | 0xffff_fff0n,
  batchSize: 5,
});
const expected = {
  consumerId: '18446744073709551614',
  bucketLow: 0xffff_fff0,
  bucketHigh: 7,
  batchSize: 5,
};

test('whole or in pieces, cut anywhere, and what is behind it is left', () => {
  assert.equal(bytes.length, CONSUMER_HEADER_BYTES);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const reader = new ConsumerHeaderReader();
    assert.equal(reader.take(bytes.subarray(0, cut)), cut);
    assert.deepEqual(reader.header, cut === bytes.length ? expected : undefined);
    const rest = Uint8Array.of(...bytes.subarray(cut), 1, 1);
    assert.equal(reader.take(rest), bytes.length - cut);
    assert.deepEqual(reader.header, expected);
    assert.equal(reader.take(rest), 0);
  }
});

test('byte by byte', () => {
  const reader = new ConsumerHeaderReader();
  for (const byte of bytes) {
    assert.equal(reader.header, undefined);
    reader.take(Uint8Array.of(byte));
  }
  assert.deepEqual(reader.header, expected);
});
