// Copies of the module are exact: every byte that should be written is, and no other. Seen through
// `deliver`, which copies a message to any offset of the outbox, and `locate`, which finds one.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  COLD_AT,
  MESSAGE_SIZE_BYTES,
  OUTBOX_AT,
  OUTBOX_BYTES,
  RESULT_AT,
  RESULT_LENGTH,
  WIRE_U32,
} from '../../assembly/layout.ts';
import { instantiateModule } from '../../src/wasm/instance.ts';
import { DEBUG_MODULE, RELEASE_MODULE } from '../support/twins.ts';

const STRAY = 0xa5;

for (const [name, url] of [
  ['release', RELEASE_MODULE],
  ['debug', DEBUG_MODULE],
] as const) {
  describe(name, () => {
    const module = instantiateModule(url);
    const all = new Uint8Array(module.memory.buffer);
    const view = new DataView(module.memory.buffer);
    const slot = (index: number) => view.getUint32(RESULT_AT + index * 4, true);

    // A body of one message of these bytes, standing at `at`.
    const place = (at: number, bytes: Uint8Array): number => {
      view.setUint32(at, bytes.length, true);
      all.set(bytes, at + MESSAGE_SIZE_BYTES);
      return MESSAGE_SIZE_BYTES + bytes.length;
    };

    test('sizes 0 to 600, at every alignment of either end', () => {
      const bytes = Uint8Array.from({ length: 600 }, (_, i) => (i * 7 + 1) & 0xff);
      for (let size = 0; size <= 600; size++) {
        for (let shift = 0; shift < 8; shift++) {
          const from = COLD_AT + 64 + shift;
          const out = 64 + ((shift * 3) & 7);
          const bodyBytes = place(from, bytes.subarray(0, size));
          all.fill(STRAY, OUTBOX_AT, OUTBOX_AT + 1024);
          assert.equal(module.deliver(from, bodyBytes, 0, 1, WIRE_U32, out, OUTBOX_BYTES), 1);
          const expected = new Uint8Array(1024).fill(STRAY);
          new DataView(expected.buffer).setUint32(out, size, true);
          expected.set(bytes.subarray(0, size), out + WIRE_U32);
          const written = all.subarray(OUTBOX_AT, OUTBOX_AT + 1024);
          assert.ok(Buffer.compare(written, expected) === 0, `size ${size}, shift ${shift}`);
        }
      }
    });

    test('a message that fills the outbox to its last byte', () => {
      const size = OUTBOX_BYTES - 4 - WIRE_U32;
      const bodyBytes = MESSAGE_SIZE_BYTES + size;
      view.setUint32(COLD_AT, size, true);
      all[COLD_AT + bodyBytes - 1] = 77;
      const behind = all[OUTBOX_AT + OUTBOX_BYTES]!;
      assert.equal(module.deliver(COLD_AT, bodyBytes, 0, 1, WIRE_U32, 4, OUTBOX_BYTES), 1);
      assert.equal(all[OUTBOX_AT + OUTBOX_BYTES - 1], 77);
      assert.equal(all[OUTBOX_AT + OUTBOX_BYTES], behind);
      view.setUint32(COLD_AT, size + 1, true);
      assert.throws(() => module.deliver(COLD_AT, bodyBytes + 1, 0, 1, WIRE_U32, 4, OUTBOX_BYTES));
    });

    test('locate finds every message of a body, and none behind it', () => {
      const sizes = [0, 1, 5, 300, 2];
      let at = COLD_AT;
      const starts = sizes.map((size) => {
        const start = at + MESSAGE_SIZE_BYTES - COLD_AT;
        at += place(at, new Uint8Array(size));
        return start;
      });
      const bodyBytes = at - COLD_AT;
      sizes.forEach((size, index) => {
        assert.equal(module.locate(COLD_AT, bodyBytes, index), size);
        assert.equal(slot(RESULT_LENGTH), starts[index]);
      });
      assert.throws(() => module.locate(COLD_AT, bodyBytes, sizes.length), /unreachable/);
      assert.throws(() => module.locate(COLD_AT, bodyBytes - 1, sizes.length - 1), /unreachable/);
    });
  });
}
