// Loads, stores and bounds of the static memory map. Nothing here allocates: the module has no
// imports and no managed objects, so a bug traps (`unreachable`) instead of calling out.

import { RESULT_AT } from './layout';

/** Traps unless `truth`: a broken invariant inside the module is a bug, never bad input. */
// @ts-ignore: decorator
@inline
export function check(truth: bool): void {
  if (!truth) unreachable();
}

/** Sets one of the result slots that the host reads after a call. */
// @ts-ignore: decorator
@inline
export function setResult(slot: u32, value: u32): void {
  store<u32>(RESULT_AT + slot * 4, value);
}

/** Rounds a size up to the record alignment of 8 bytes. */
// @ts-ignore: decorator
@inline
export function align8(bytes: u32): u32 {
  return (bytes + 7) & ~7;
}

/**
 * Copies `bytes` bytes, exactly. Messages are mostly shorter than what makes a bulk copy pay for
 * its call, so up to 512 bytes go through 16-byte registers; the last step overlaps the one before.
 */
// @ts-ignore: decorator
@inline
export function copy(to: u32, from: u32, bytes: u32): void {
  if (bytes > 512) {
    memory.copy(to, from, bytes);
  } else if (bytes >= 16) {
    const last = bytes - 16;
    for (let i: u32 = 0; i < last; i += 16) v128.store(to + i, v128.load(from + i));
    v128.store(to + last, v128.load(from + last));
  } else if (bytes >= 8) {
    const last = bytes - 8;
    const tail = load<u64>(from + last);
    store<u64>(to, load<u64>(from));
    store<u64>(to + last, tail);
  } else {
    for (let i: u32 = 0; i < bytes; i++) store<u8>(to + i, load<u8>(from + i));
  }
}
