// Messages of the stream between two nodes: the same however they are cut, and nothing is taken for
// one that is none.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamMessage } from '../../../src/core/ports/stream.ts';
import { RELAY_HEAD_BYTES, RelayReader, relayHead } from '../../../src/io/cluster/relay-frames.ts';
import { Random, seedOf } from '../../support/random.ts';

const random = new Random(seedOf('messages of the relay'));
const MAX = 1000;

const messages: StreamMessage[] = [1, 2, 2 ** 40, Number.MAX_SAFE_INTEGER].map((sequence, i) => ({
  sequence,
  bytes: Uint8Array.from({ length: [1, 40, MAX, 7][i]! }, () => random.below(256)),
}));
const wire = Buffer.concat(
  messages.flatMap(({ sequence, bytes }) => [relayHead(sequence, bytes.length), bytes]),
);

test('a head is these bytes', () => {
  assert.equal(
    relayHead(0x0102_0304_0506, 77).toString('hex'),
    '4d00000000000000060504030201'.padEnd(32, '0'),
  );
  assert.equal(RELAY_HEAD_BYTES, 16);
});

test('however it is cut, what is heard is the same, each in memory of its own', () => {
  const cuts = [
    wire.length,
    1,
    15,
    16,
    17,
    ...Array.from({ length: 20 }, () => 1 + random.below(90)),
  ];
  for (const cut of cuts) {
    const reader = new RelayReader(MAX);
    const heard: StreamMessage[] = [];
    for (let at = 0; at < wire.length; at += cut) {
      // What it is read into is used again.
      const chunk = Uint8Array.from(wire.subarray(at, at + cut));
      assert.ok(reader.push(chunk, (message) => heard.push(message)));
      chunk.fill(0xee);
    }
    const plain = heard.map(({ sequence, bytes }) => ({ sequence, bytes: Uint8Array.from(bytes) }));
    assert.deepEqual(plain, messages, `cut after each ${cut} bytes`);
  }
});

test('what is too long, empty, or has no number is none, and costs no memory', () => {
  const bent: [string, (head: Buffer) => void][] = [
    ['too long', (head) => head.writeUInt32LE(MAX + 1, 0)],
    ['far too long', (head) => head.writeUInt32LE(0xffff_ffff, 0)],
    ['empty', (head) => head.writeUInt32LE(0, 0)],
    ['number 0', (head) => head.writeBigUInt64LE(0n, 8)],
    ['no number', (head) => head.writeBigUInt64LE(2n ** 53n, 8)],
    ['what is not used', (head) => head.writeUInt32LE(1, 4)],
  ];
  for (const [what, bend] of bent) {
    const head = relayHead(5, 10);
    bend(head);
    const heard: StreamMessage[] = [];
    const bytes = Buffer.concat([relayHead(4, 1), Buffer.of(1), head, Buffer.alloc(2000)]);
    assert.equal(
      new RelayReader(MAX).push(bytes, (each) => heard.push(each)),
      false,
      what,
    );
    assert.deepEqual(
      heard.map(({ sequence }) => sequence),
      [4],
      what,
    );
  }
});
