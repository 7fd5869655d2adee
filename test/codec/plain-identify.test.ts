// Ids of messages: the published vectors of SipHash, and the module against its twin.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RESULT_ID, WIRE_U32, WIRE_U64 } from '../../assembly/layout.ts';
import { sipHash128 } from '../../src/codec/plain-identify.ts';
import { encodeBatch } from '../../src/codec/wire.ts';
import { Random, seedOf } from '../support/random.ts';
import { Twins } from '../support/twins.ts';

const twins = new Twins();

test('the first vectors of its authors', () => {
  // Key 00 01 … 0f, input 00 01 02 … of growing length.
  const low = 0x0706050403020100n;
  const high = 0x0f0e0d0c0b0a0908n;
  const vectors = [
    'a3817f04ba25a8e66df67214c7550293',
    'da87c1d86b99af44347659119b22fc45',
    '8177228da4a45dc7fca38bdef60affe4',
    '9c70b60c5267a94e5f33b6b02985ed51',
  ];
  for (const [length, expected] of vectors.entries()) {
    const input = Uint8Array.from({ length }, (_, i) => i);
    assert.equal(Buffer.from(sipHash128(input, low, high)).toString('hex'), expected);
  }
});

test('both make the same id of a message, whatever stands around it', () => {
  const random = new Random(seedOf('ids of messages'));
  const seen = new Set<string>();
  for (const wire of [WIRE_U32, WIRE_U64])
    for (let length = 1; length < 70; length += length < 20 ? 1 : 7) {
      const body = Uint8Array.from({ length }, () => random.below(256));
      const bucket = BigInt(random.below(3)) << 40n;
      const bytes = encodeBatch([{ bucket, body }], wire === WIRE_U64 ? 'u64' : 'u32').subarray(4);
      const id = (at: number, secret: number) =>
        twins.same((codec) => {
          codec.inbox.fill(0xee, 0, 300);
          codec.inbox.set(bytes, at);
          codec.setSecret(secret, 7);
          codec.identify(at, at + bytes.length, wire);
          return [...codec.result.subarray(RESULT_ID, RESULT_ID + 4)];
        });
      const first = id(0, 1);
      assert.deepEqual(id(random.below(100), 1), first);
      assert.notDeepEqual(id(0, 2), first);
      seen.add(first.join());
    }
  assert.ok(seen.size > 50);
});

test('the same bytes for another bucket, and bytes with a zero more, are another message', () => {
  const messages = [
    { bucket: 1n, body: new Uint8Array(8) },
    { bucket: 2n, body: new Uint8Array(8) },
    { bucket: 1n, body: new Uint8Array(9) },
    { bucket: 1n, body: new Uint8Array(8 + 256) },
  ];
  const ids = messages.map((message) => {
    const bytes = encodeBatch([message], 'u64').subarray(4);
    return twins
      .same((codec) => {
        codec.setSecret(1, 2);
        codec.inbox.set(bytes);
        codec.identify(0, bytes.length, WIRE_U64);
        return [...codec.result.subarray(RESULT_ID, RESULT_ID + 4)];
      })
      .join();
  });
  assert.equal(new Set(ids).size, messages.length);
});

test('a message that is not whole stops', () => {
  const bytes = encodeBatch([{ bucket: 1n, body: new Uint8Array(20) }], 'u64').subarray(4);
  for (const end of [15, bytes.length - 1])
    twins.trap((codec) => {
      codec.inbox.set(bytes);
      codec.identify(0, end, WIRE_U64);
    });
});
