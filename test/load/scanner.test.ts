// The scanner sees the same frames as the codec, at every split, in both dialects and directions.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BATCH_MESSAGES_MAX, MESSAGE_BYTES_CEILING } from '../../assembly/layout.ts';
import {
  encodeBatch,
  encodeDelivery,
  encodeGoodbye,
  encodeHeartbeat,
  lengthBytes,
  type Wire,
  WireError,
} from '../../src/codec/wire.ts';
import { FrameScanner } from '../../src/load/scanner.ts';

const BODIES = ['a', '', 'a longer body', 'xy'].map((text) => new TextEncoder().encode(text));

/** Frames seen when `stream` comes in chunks of `size` bytes. */
function scan(stream: Uint8Array, size: number, wire: Wire, prefixBytes: number): number[][] {
  const frames: number[][] = [];
  const scanner = new FrameScanner(wire, prefixBytes, (messages, bytes) => {
    frames.push([messages, bytes]);
  });
  for (let at = 0; at < stream.length; at += size) scanner.push(stream.subarray(at, at + size));
  return frames;
}

for (const wire of ['u64', 'u32'] as const) {
  describe(`dialect ${wire}`, () => {
    test('deliveries and heartbeats at every chunk size', () => {
      const stream = Buffer.concat([
        encodeDelivery(BODIES, wire),
        encodeHeartbeat(wire),
        encodeDelivery([BODIES[2]], wire),
      ]);
      const expected = [
        [4, 16],
        [1, 0],
        [1, 13],
      ];
      for (let size = 1; size <= stream.length; size++)
        assert.deepEqual(scan(stream, size, wire, 0), expected, `chunks of ${size}`);
    });

    test('batches and the goodbye at every chunk size', () => {
      const batch = encodeBatch(
        BODIES.map((body) => ({ bucket: 2n ** 64n - 1n, body })),
        wire,
      );
      const stream = Buffer.concat([batch, batch, encodeGoodbye()]);
      const expected = [
        [4, 16],
        [4, 16],
        [0, 0],
      ];
      for (let size = 1; size <= stream.length; size++)
        assert.deepEqual(scan(stream, size, wire, 8), expected, `chunks of ${size}`);
    });

    test('nothing is reported before the last byte of a frame', () => {
      const stream = encodeDelivery([BODIES[2]], wire);
      assert.deepEqual(scan(stream.subarray(0, -1), 5, wire, 0), []);
    });

    test('a count and a length beyond the limits end the stream', () => {
      const head = new Uint8Array(4 + lengthBytes(wire));
      const view = new DataView(head.buffer);
      view.setUint32(0, BATCH_MESSAGES_MAX + 1, true);
      assert.throws(() => scan(head, head.length, wire, 0), WireError);
      view.setUint32(0, 1, true);
      view.setUint32(4, MESSAGE_BYTES_CEILING + 1, true);
      assert.throws(() => scan(head, head.length, wire, 0), WireError);
      assert.throws(() => scan(head, 1, wire, 0), WireError);
    });
  });
}

test('a length with bits above 32 is no length of this dialect', () => {
  const frame = encodeDelivery([BODIES[0]], 'u64');
  frame[8] = 1;
  assert.throws(() => scan(frame, frame.length, 'u64', 0), WireError);
});
