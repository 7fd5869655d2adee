// The port over the module, where it does more than pass a call on.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  BATCH_HEADER_BYTES,
  MESSAGE_SIZE_BYTES,
  OUTBOX_BYTES,
  WIRE_U32,
} from '../../assembly/layout.ts';
import { crc32c } from '../../src/codec/crc32c.ts';
import { PlainCodec } from '../../src/codec/plain.ts';
import { Engine } from '../../src/wasm/engine.ts';
import { Random, seedOf } from '../support/random.ts';

const random = new Random(seedOf('wasm/engine.test'));
const engine = new Engine();

test('a checksum of bytes that lie anywhere, up to the size of the outbox, changes no area', () => {
  assert.equal(engine.checksum(Buffer.from('123456789')), 0xe3069283);
  const around = Uint8Array.from({ length: 5000 }, () => random.below(256));
  const areas = () => [engine.inbox, engine.memory.subarray(0, 4096), engine.block, engine.zeros];
  const before = areas().map((area) => crc32c(area.subarray(0, 4096)));
  for (let round = 0; round < 50; round++) {
    const from = random.below(around.length);
    const bytes = around.subarray(from, from + random.below(around.length));
    assert.equal(engine.checksum(bytes), crc32c(bytes));
  }
  const whole = new Uint8Array(OUTBOX_BYTES).fill(5);
  assert.equal(engine.checksum(whole), crc32c(whole));
  assert.deepEqual(
    areas().map((area) => crc32c(area.subarray(0, 4096))),
    before,
  );
});

test("the plain twin's areas have the sizes of the module's, if nothing else is said", () => {
  const plain = new PlainCodec();
  assert.equal(plain.inbox.length, engine.inbox.length);
  assert.equal(plain.coldBytes, engine.coldBytes);
  assert.equal(plain.memory.length, engine.memory.length);
  assert.equal(plain.marks.byteLength, engine.marks.byteLength);
  assert.equal(plain.rows.length, engine.rows.length);
  assert.equal(plain.result.length, engine.result.length);
  assert.equal(plain.block.length, engine.block.length);
  assert.equal(plain.zeros.length, engine.zeros.length);
  // A frame that fills the outbox to its last byte, and one that is a byte too large.
  const room = OUTBOX_BYTES - BATCH_HEADER_BYTES - WIRE_U32;
  const view = new DataView(plain.memory.buffer);
  for (const length of [room, room + 1]) {
    view.setUint32(0, length, true);
    const deliver = () =>
      plain.deliver(0, MESSAGE_SIZE_BYTES + length, 0, 1, WIRE_U32, BATCH_HEADER_BYTES, 2 ** 30);
    if (length === room) assert.equal(deliver(), 1);
    else assert.throws(deliver, /larger than the outbox/);
  }
});
