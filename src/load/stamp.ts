// The first bytes of a stamped message: who sent it, which one it is, and when it was due. Only the
// process that wrote a time can read it: times are of its own monotonic clock.
//
//    0  f64  ms on the sender's clock at which the message was due; 0 = not to be timed
//    8  u16  producer: which connection of the run
//   10  u16  run: tells this run's messages from those that were in the bucket before
//   12  u32  sequence: counts the producer's messages from 0

export const STAMP_TIME_AT = 0;
export const STAMP_PRODUCER_AT = 8;
export const STAMP_RUN_AT = 10;
export const STAMP_SEQUENCE_AT = 12;
export const STAMP_BYTES = 16;

/** What the bytes behind the stamp, and the bytes of messages without one, are. */
export function fillerByte(index: number): number {
  return (index * 31 + 7) & 0xff;
}

/** A body of `bytes` filler bytes. */
export function filler(bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, index) => fillerByte(index));
}
