// Bodies of the records of types 7 to 10, which stand in segments of version 3 only: the head and
// the messages of a placed one, deferrals, producers, ids. Their headers are in layout.ts, and what
// it says of itself holds here.
//
// What all messages of a placed record share is in its head, so that nobody has to look at each to
// know where they belong:
//
//    0  u64  due: not ready before, ms since 1970; 0: at once
//    8  u64  expires: dead from then on, ms since 1970; 0: never by itself
//   16  u64  published: when they were stored first; 0: with this batch
//   24  u64  from: sequence of the first before they were moved; it and those behind it, as many as
//            there are messages here, are settled by this record if its form says so
//   32  u64  bucket they came from
//   40  u64  moved: when, ms since 1970
//   48  u32  turn: how many times they were deferred to a time
//   52  u16  attempts that they had there
//   54  u8   reason
//   55  u8   kind of the line they came from
//   56  u8   hops: moves to other buckets so far
//   57  u8   level: see deferral
//   58  6 B  zero
//
//   message, form bit 0 clear:   u32 size | bytes
//   message, form bit 0 set:     u32 size of what follows | u16 size of fields | fields | bytes
//   field:                       u8 tag | u16 size | bytes, tags ascending
//
//   deferral, 40 bytes:
//    0  u64  first sequence
//    8  u32  count of sequences
//   12  u32  turn, theirs from now on
//   16  u64  due; 0: at once, the turn is what it was
//   24  u64  bucket
//   32  u16  attempts so far
//   34  u8   kind of the line
//   35  u8   level: 0 ordinary; else at most 2^(level - 1) are given out together, only with others
//            of that level
//   36  u8   cause
//   37  3 B  zero
//
//   producer: u8[16] its id | u64 last number stored | u64 time, ms since 1970
//   id: 16 bytes, a keyed hash

export const KIND_LIVE: u32 = 0;
export const KIND_DEAD: u32 = 1;
export const KIND_SETTINGS: u32 = 2;
export const KIND_MAX: u32 = 2;

export const FORM_FIELDS: u32 = 1; // each message has a block of fields in front of its bytes
export const FORM_SETTLES: u32 = 2; // the messages from FROM on are settled by the same record
export const FORM_MAX: u32 = 3;

export const HEAD_DUE_AT: u32 = 0;
export const HEAD_EXPIRES_AT: u32 = 8;
export const HEAD_PUBLISHED_AT: u32 = 16;
export const HEAD_FROM_AT: u32 = 24;
export const HEAD_FROM_BUCKET_AT: u32 = 32;
export const HEAD_MOVED_AT: u32 = 40;
export const HEAD_TURN_AT: u32 = 48;
export const HEAD_FROM_ATTEMPTS_AT: u32 = 52;
export const HEAD_REASON_AT: u32 = 54;
export const HEAD_FROM_KIND_AT: u32 = 55;
export const HEAD_HOPS_AT: u32 = 56;
export const HEAD_LEVEL_AT: u32 = 57;
export const HEAD_ZERO_AT: u32 = 58;
export const HEAD_BYTES: u32 = 64;

export const REASON_NONE: u32 = 0;
export const REASON_DELIVERIES: u32 = 1;
export const REASON_REJECTED: u32 = 2;
export const REASON_EXPIRED: u32 = 3;
export const REASON_OVERFLOW: u32 = 4;
export const REASON_REDRIVEN: u32 = 5;
export const REASON_COPIED: u32 = 6;
export const REASON_REPLACED: u32 = 7;
export const REASON_MAX: u32 = 7;

export const FIELDS_SIZE_BYTES: u32 = 2; // u16 size of the fields, behind the size of a message
export const FIELDS_BYTES_MAX: u32 = 16384;

export const DEFERRAL_SEQUENCE_AT: u32 = 0;
export const DEFERRAL_COUNT_AT: u32 = 8;
export const DEFERRAL_TURN_AT: u32 = 12;
export const DEFERRAL_DUE_AT: u32 = 16;
export const DEFERRAL_BUCKET_AT: u32 = 24;
export const DEFERRAL_ATTEMPTS_AT: u32 = 32;
export const DEFERRAL_KIND_AT: u32 = 34;
export const DEFERRAL_LEVEL_AT: u32 = 35;
export const DEFERRAL_CAUSE_AT: u32 = 36;
export const DEFERRAL_ZERO_AT: u32 = 37;
export const DEFERRAL_BYTES: u32 = 40;
export const DEFERRALS_MAX: u32 = 26214; // in one record: as many as MARKS of layout.ts holds

export const CAUSE_FAILED: u32 = 1;
export const CAUSE_RELEASED: u32 = 2;
export const CAUSE_LINK_LOST: u32 = 3;
export const CAUSE_LEASE_OVER: u32 = 4;
export const CAUSE_MAX: u32 = 4;

export const LEVEL_MAX: u32 = 17; // as many as the largest batch, together

export const PRODUCER_ID_AT: u32 = 0;
export const PRODUCER_NUMBER_AT: u32 = 16;
export const PRODUCER_TIME_AT: u32 = 24;
export const PRODUCER_BYTES: u32 = 32;
export const PRODUCERS_MAX: u32 = 32768; // in one record, likewise
export const ID_BYTES: u32 = 16;
