// The ids of messages: SipHash-2-4 with 128 bits of result, over a bucket's id and what stands for
// the message. Whoever does not know the log's secret cannot find two messages with the same id,
// however many they try. Reads only; knows nothing of where ids are kept.

import { BUCKET_BYTES, RESULT_ID, WIRE_U64 } from './layout';
import { check, setResult } from './memory';

const ROUNDS_BLOCK: u32 = 2;
const ROUNDS_END: u32 = 4;

let secretLow: u64 = 0;
let secretHigh: u64 = 0;

let v0: u64 = 0;
let v1: u64 = 0;
let v2: u64 = 0;
let v3: u64 = 0;

/** Sets what ids are made with from now on: 64 bits, of which no client is told. */
export function setSecret(low: u32, high: u32): void {
  secretLow = (u64(high) << 32) | u64(low);
  secretHigh = ~secretLow;
}

function mix(rounds: u32): void {
  let a = v0;
  let b = v1;
  let c = v2;
  let d = v3;
  for (let i: u32 = 0; i < rounds; i++) {
    a += b;
    b = rotl<u64>(b, 13) ^ a;
    a = rotl<u64>(a, 32);
    c += d;
    d = rotl<u64>(d, 16) ^ c;
    a += d;
    d = rotl<u64>(d, 21) ^ a;
    c += b;
    b = rotl<u64>(b, 17) ^ c;
    c = rotl<u64>(c, 32);
  }
  v0 = a;
  v1 = b;
  v2 = c;
  v3 = d;
}

function take(block: u64): void {
  v3 ^= block;
  mix(ROUNDS_BLOCK);
  v0 ^= block;
}

function half(slot: u32): void {
  mix(ROUNDS_END);
  const bits = v0 ^ v1 ^ v2 ^ v3;
  setResult(slot, u32(bits));
  setResult(slot + 1, u32(bits >> 32));
}

/**
 * The id of the whole message at `at`, which stands as on the wire: its bucket and its bytes say it,
 * its length counts with its bytes. Result: four words from ID on. Traps if it ends behind `end`.
 */
export function identify(at: u32, end: u32, wire: u32): void {
  const bodyAt = at + BUCKET_BYTES + wire;
  check(bodyAt <= end);
  const length =
    wire == WIRE_U64 ? load<u64>(at + BUCKET_BYTES) : u64(load<u32>(at + BUCKET_BYTES));
  check(length <= u64(end - bodyAt));
  v0 = secretLow ^ 0x736f6d6570736575;
  v1 = secretHigh ^ 0x646f72616e646f6d ^ 0xee;
  v2 = secretLow ^ 0x6c7967656e657261;
  v3 = secretHigh ^ 0x7465646279746573;
  take(load<u64>(at));
  const bytes = u32(length);
  const tailAt = bodyAt + (bytes & ~7);
  for (let cursor = bodyAt; cursor < tailAt; cursor += 8) take(load<u64>(cursor));
  let last: u64 = u64((bytes + BUCKET_BYTES) & 0xff) << 56;
  for (let i: u32 = 0; i < (bytes & 7); i++) last |= u64(load<u8>(tailAt + i)) << (8 * i);
  take(last);
  v2 ^= 0xee;
  half(RESULT_ID);
  v1 ^= 0xdd;
  half(RESULT_ID + 2);
}
