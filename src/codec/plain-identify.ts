// Ids of messages in plain TypeScript: SipHash-2-4 with 128 bits of result, as its authors describe
// it, over the bytes of a bucket's id and of a message.

import { BUCKET_BYTES, WIRE_U64 } from '../../assembly/layout.ts';
import { assert } from '../core/assert.ts';

const U64 = 64;
const wrap = (value: bigint): bigint => BigInt.asUintN(U64, value);
const rotate = (value: bigint, by: number): bigint =>
  wrap(value << BigInt(by)) | (value >> BigInt(U64 - by));

type State = [v0: bigint, v1: bigint, v2: bigint, v3: bigint];

function rounds(state: State, count: number): void {
  let [v0, v1, v2, v3] = state;
  for (let i = 0; i < count; i++) {
    v0 = wrap(v0 + v1);
    v1 = rotate(v1, 13) ^ v0;
    v0 = rotate(v0, 32);
    v2 = wrap(v2 + v3);
    v3 = rotate(v3, 16) ^ v2;
    v0 = wrap(v0 + v3);
    v3 = rotate(v3, 21) ^ v0;
    v2 = wrap(v2 + v1);
    v1 = rotate(v1, 17) ^ v2;
    v2 = rotate(v2, 32);
  }
  state.splice(0, 4, v0, v1, v2, v3);
}

/** SipHash-2-4-128 of some bytes under a key, low half first: 16 bytes. */
export function sipHash128(bytes: Uint8Array, keyLow: bigint, keyHigh: bigint): Uint8Array {
  const state: State = [
    keyLow ^ 0x736f6d6570736575n,
    keyHigh ^ 0x646f72616e646f6dn ^ 0xeen,
    keyLow ^ 0x6c7967656e657261n,
    keyHigh ^ 0x7465646279746573n,
  ];
  const padded = new Uint8Array(Math.floor(bytes.length / 8) * 8 + 8);
  padded.set(bytes);
  padded[padded.length - 1] = bytes.length & 0xff;
  const view = new DataView(padded.buffer);
  for (let at = 0; at < padded.length; at += 8) {
    const block = view.getBigUint64(at, true);
    state[3] ^= block;
    rounds(state, 2);
    state[0] ^= block;
  }
  const hash = new DataView(new ArrayBuffer(16));
  const half = (at: number) => {
    rounds(state, 4);
    hash.setBigUint64(at, state[0] ^ state[1] ^ state[2] ^ state[3], true);
  };
  state[2] ^= 0xeen;
  half(0);
  state[1] ^= 0xddn;
  half(8);
  return new Uint8Array(hash.buffer);
}

/** The id of the message at `at` of an inbox, as four words. */
export function identified(
  inbox: DataView,
  at: number,
  end: number,
  wire: number,
  secret: bigint,
): Uint32Array {
  const bodyAt = at + BUCKET_BYTES + wire;
  assert(bodyAt <= end, 'a message that is not whole has no id');
  const lengthAt = at + BUCKET_BYTES;
  const length =
    wire === WIRE_U64
      ? Number(inbox.getBigUint64(lengthAt, true))
      : inbox.getUint32(lengthAt, true);
  assert(length <= end - bodyAt, 'a message that is not whole has no id');
  const bytes = new Uint8Array(BUCKET_BYTES + length);
  const all = new Uint8Array(inbox.buffer, inbox.byteOffset);
  bytes.set(all.subarray(at, at + BUCKET_BYTES));
  bytes.set(all.subarray(bodyAt, bodyAt + length), BUCKET_BYTES);
  return new Uint32Array(sipHash128(bytes, secret, wrap(~secret)).buffer);
}
