// CRC32C three times: in the module, in plain TypeScript, and in a library written by others.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { crc32c as reference } from '@node-rs/crc32';
import { COLD_AT, FOLD_BYTES, OUTBOX_AT } from '../../assembly/layout.ts';
import { crc32c as plain } from '../../src/codec/crc32c.ts';
import { instantiateModule } from '../../src/wasm/instance.ts';
import { Random, seedOf } from '../support/random.ts';
import { DEBUG_MODULE, RELEASE_MODULE } from '../support/twins.ts';

const seed = seedOf('assembly/crc32c.test');
const modules = [RELEASE_MODULE, DEBUG_MODULE].map((url) => {
  const module = instantiateModule(url);
  return { module, all: new Uint8Array(module.memory.buffer) };
});

function random(length: number): Uint8Array {
  const words = new Random(seed + length);
  return Uint8Array.from({ length }, () => words.next());
}

function same(bytes: Uint8Array, at: number): void {
  const expected = reference(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
  assert.equal(plain(bytes), expected, `plain, ${bytes.length} bytes`);
  for (const { module, all } of modules) {
    all.set(bytes, at);
    assert.equal(module.crc32c(at, bytes.length) >>> 0, expected, `${bytes.length} bytes at ${at}`);
  }
}

describe('crc32c', () => {
  test('check values', () => {
    const text = (characters: string) => new Uint8Array(Buffer.from(characters));
    assert.equal(plain(text('123456789')), 0xe3069283);
    assert.equal(plain(new Uint8Array(0)), 0);
    // RFC 3720, appendix B.4
    assert.equal(plain(new Uint8Array(32)), 0x8a9136aa);
    assert.equal(plain(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
    assert.equal(plain(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e);
    for (const bytes of [text('123456789'), new Uint8Array(0), new Uint8Array(32)])
      same(bytes, COLD_AT);
  });

  test('all lengths from 0 to 300 at all alignments', () => {
    const bytes = random(300);
    for (let length = 0; length <= 300; length++)
      for (let offset = 0; offset < 8; offset++) same(bytes.subarray(0, length), COLD_AT + offset);
  });

  test('all lengths around those from which input is folded, at all alignments', () => {
    const bytes = random(3 * FOLD_BYTES + 9000);
    const steps = [2 * FOLD_BYTES, 3 * FOLD_BYTES, FOLD_BYTES + 8192, 3 * FOLD_BYTES + 8192];
    for (const step of steps)
      for (let length = step - 40; length <= step + 40; length++)
        same(bytes.subarray(0, length), COLD_AT + (length % 8));
  });

  test('large ones', () => {
    for (const length of [4095, 65_536, 65_537, 1_000_003, 4 * 1024 * 1024])
      same(random(length), OUTBOX_AT + (length % 8));
  });

  test('every single bit matters', () => {
    const bytes = random(64);
    const whole = plain(bytes);
    for (let bit = 0; bit < 64 * 8; bit++) {
      const flipped = bytes.slice();
      flipped[bit >>> 3]! ^= 1 << (bit & 7);
      assert.notEqual(plain(flipped), whole);
      same(flipped, COLD_AT);
    }
  });
});
