// The one byte table of ThrustMQ: wire frames, log records, segment headers and the memory map that
// is shared with the module; layout-placed.ts goes on with the later record types. Compiled by asc
// and by tsc alike: 32-bit integer constants, no imports; no other file has an offset literal.
// Everything is little-endian. `_AT` is an offset, `_BYTES` a size, `_MAX` an inclusive bound.

// ---------------------------------------------------------------------------------------------
// Wire. `Length` is 8 bytes in dialect u64 and 4 bytes in dialect u32; all else is the same.
//
//   producer ->   u32 count | count x ( u64 bucket | Length | bytes )
//   producer <-   count x u8            1 = stored durably, 0 = not stored
//
//   consumer ->   u64 consumerId | u64 bucket | u32 batchSize          once
//   consumer <-   u32 n | n x ( Length | bytes )
//   consumer ->   n x u8                ACK_DONE … ACK_RETRY_FREE; ACK_WORKING is none of the n
// ---------------------------------------------------------------------------------------------
export const WIRE_U32: u32 = 4; // dialects are named by the size of Length, in bytes
export const WIRE_U64: u32 = 8;

export const BATCH_HEADER_BYTES: u32 = 4; // u32 count
export const BUCKET_BYTES: u32 = 8;

export const CONSUMER_ID_AT: u32 = 0;
export const CONSUMER_BUCKET_AT: u32 = 8;
export const CONSUMER_BATCH_AT: u32 = 16;
export const CONSUMER_HEADER_BYTES: u32 = 20;

export const ACK_STORED: u32 = 1;
export const ACK_REFUSED: u32 = 0;
// What a consumer says of a message. All other bytes mean failed, too.
export const ACK_FAILED: u32 = 0; // ready again after the rule's delay; one more attempt
export const ACK_DONE: u32 = 1;
export const ACK_REJECTED: u32 = 2; // dead now
export const ACK_RELEASED: u32 = 3; // ready again at once, no attempt is charged
export const ACK_RETRY: u32 = 0x40; // + e: ready again after 2^e ms; one more attempt
export const ACK_RETRY_FREE: u32 = 0x60; // + e: the same, no attempt is charged
export const ACK_RETRY_EXPONENT_MAX: u32 = 31;
export const ACK_WORKING: u32 = 0xff; // renews the lease of the delivery; stands for no message
export const BATCH_MESSAGES_MAX: u32 = 65536;
export const MESSAGE_BYTES_DEFAULT: u32 = 1048576; // 1 MiB
export const MESSAGE_BYTES_CEILING: u32 = 67108864; // 64 MiB; a longer Length is not this protocol

// ---------------------------------------------------------------------------------------------
// Segment header: the first 64 bytes of a segment file; the rest of its first 4 KiB is zero.
//
//    0  u64  magic "ThrustMQ"
//    8  u32  format version: 1; 2: compacted; 3: either, and may hold records of types 7 to 10
//   12  u32  segment size in bytes, header included
//   16  u64  base: log position of the segment's first byte
//   24  u64  start: oldest position the log needed when this header was written
//   32  u64  log id: random, the same in every segment of one data folder
//   40  u64  time of creation, ms since 1970
//   48  u32  epoch of the broker start that created it
//   52  u64  compacted: log position at which the next segment begins; else zero
//   60  u32  CRC32C of bytes 0 … 59
// ---------------------------------------------------------------------------------------------
export const SEGMENT_MAGIC_LOW: u32 = 0x75726854; // "Thru"
export const SEGMENT_MAGIC_HIGH: u32 = 0x514d7473; // "stMQ"
export const SEGMENT_VERSION: u32 = 1;
export const SEGMENT_VERSION_COMPACTED: u32 = 2;
export const SEGMENT_VERSION_PLACED: u32 = 3;

export const SEGMENT_MAGIC_AT: u32 = 0;
export const SEGMENT_VERSION_AT: u32 = 8;
export const SEGMENT_SIZE_AT: u32 = 12;
export const SEGMENT_BASE_AT: u32 = 16;
export const SEGMENT_START_AT: u32 = 24;
export const SEGMENT_LOG_ID_AT: u32 = 32;
export const SEGMENT_TIME_AT: u32 = 40;
export const SEGMENT_EPOCH_AT: u32 = 48;
export const SEGMENT_END_AT: u32 = 52;
export const SEGMENT_CRC_AT: u32 = 60;
export const SEGMENT_HEADER_BYTES: u32 = 64;
export const SEGMENT_DATA_AT: u32 = 4096; // first record

// ---------------------------------------------------------------------------------------------
// Record: a 56-byte header and a body, padded with zeros to a multiple of 8.
//
//    0  u32  CRC32C of bytes 4 … 55, xor the log's key; checked before anything below is believed
//    4  u32  CRC32C of the body
//    8  u32  body size in bytes, without padding
//   12  u8   type
//   13  u8   flags
//   14  u8   kind (placed): 0 the line of a bucket, 1 its dead line, 2 settings; else zero
//   15  u8   form (placed): bit 0 fields, bit 1 settles; else zero
//   16  u64  position: where in the log this record's first byte stands
//   24  u64  sequence
//   32  u64  bucket (messages) or time, ms since 1970 (commit, start)
//   40  u32  count: messages or marks in the body; records in the batch (commit)
//   44  u32  epoch: which start of the broker wrote it
//   48  u32  back: distance in bytes from the first record of its commit batch to this one
//   52  u32  attempts: deliveries that ended without an ack, of each message in the body
//
// The bodies of those from placed on, which stand in segments of version 3 only, are in
// layout-placed.ts.
//
//   type      sequence                           body
//   messages  of the first message               count x ( u32 size | bytes ), one bucket
//   settled   0                                  count x mark: acked by a consumer
//   returned  0                                  count x mark: delivered, not acked, ready again
//   commit    the next one to be given out       empty; closes every batch
//   start     the next one to be given out       empty; first record of a broker's life
//   trim      log position before which          empty; written before segments are given back
//             nothing is needed
//   placed    of the first message               head | count x message, one bucket and kind
//   deferred  0                                  count x deferral: not ready before a time, or only
//                                                apart from others
//   producers 0                                  count x producer: the last number that is stored
//   ids       time of publishing, ms             count x id of messages of one bucket; attempts:
//                                                for how many s they are to be known
//
// The log's key is its id's low half xor its high half. Nobody who publishes knows it, so nobody can
// put bytes into a message that would pass for a record if they ever stood in a record's place.
//
//   mark: u64 first sequence | u32 count of sequences | u32 attempts so far (returned)
// ---------------------------------------------------------------------------------------------
export const RECORD_CRC_AT: u32 = 0;
export const RECORD_BODY_CRC_AT: u32 = 4;
export const RECORD_BODY_BYTES_AT: u32 = 8;
export const RECORD_TYPE_AT: u32 = 12;
export const RECORD_FLAGS_AT: u32 = 13;
export const RECORD_KIND_AT: u32 = 14;
export const RECORD_FORM_AT: u32 = 15;
export const RECORD_POSITION_AT: u32 = 16;
export const RECORD_SEQUENCE_AT: u32 = 24;
export const RECORD_BUCKET_AT: u32 = 32;
export const RECORD_COUNT_AT: u32 = 40;
export const RECORD_EPOCH_AT: u32 = 44;
export const RECORD_BACK_AT: u32 = 48;
export const RECORD_ATTEMPTS_AT: u32 = 52;
export const RECORD_HEADER_BYTES: u32 = 56;
export const RECORD_ALIGN: u32 = 8;

export const RECORD_MESSAGES: u32 = 1;
export const RECORD_SETTLED: u32 = 2;
export const RECORD_RETURNED: u32 = 3;
export const RECORD_COMMIT: u32 = 4;
export const RECORD_START: u32 = 5;
export const RECORD_TRIM: u32 = 6;
export const RECORD_PLACED: u32 = 7;
export const RECORD_DEFERRED: u32 = 8;
export const RECORD_PRODUCERS: u32 = 9;
export const RECORD_IDS: u32 = 10;
export const RECORD_TYPE_MAX: u32 = 10;

// Everything before this record's batch was synced when the batch was written. A record that
// carries it, found beyond a bad spot, proves that the bad spot had been acked: damage, no torn
// tail.
export const FLAG_PROOF: u32 = 1;
// On a commit: the writer went on in the next segment, so nothing follows it in this one.
export const FLAG_LAST: u32 = 2;

export const MESSAGE_SIZE_BYTES: u32 = 4; // u32 size before each message in a body
export const MARK_BYTES: u32 = 16;
export const MARK_SEQUENCE_AT: u32 = 0;
export const MARK_COUNT_AT: u32 = 8;
export const MARK_ATTEMPTS_AT: u32 = 12;

// ---------------------------------------------------------------------------------------------
// Memory map of the module: fixed, never grown, so views taken once stay valid. Pages that are not
// touched cost nothing; the inbox and outbox can hold one message of the ceiling.
//
//   TABLES   16 KiB    CRC32C slicing tables
//   FOLD     12 KiB    the blocks that a checksum works on, twice FOLD_BYTES and a step of 8 KiB
//   RESULT   256 B     what the last call returned beyond one number
//   ROWS     384 KiB   what the last call found, a row for each record
//   RULES    481 KiB   buckets that an intake stops at; all zero: none
//   MARKS    1 MiB     marks on their way into a record, or the head of one
//   INBOX    65 MiB    bytes as they came from one connection
//   OUTBOX   65 MiB    one delivery frame
//   COLD     96 MiB    windows of the log read back from disk
//   RING     256 MiB   image of the segment being written: commit buffer and hot tail in one
//   BLOCK    4 KiB     the last disk block of a write; what follows it in the ring may still change
//   ZEROS    1 MiB     zeros, for files that are made; nobody writes there
// ---------------------------------------------------------------------------------------------
export const TABLES_AT: u32 = 4096;
export const TABLES_BYTES: u32 = 16384;
export const FOLD_AT: u32 = 20480;
export const FOLD_BYTES: u32 = 3344;
export const RESULT_AT: u32 = 32768;
export const RESULT_BYTES: u32 = 256;
export const ROWS_AT: u32 = 65536;
export const ROWS_MAX: u32 = 8192;
export const ROW_BYTES: u32 = 48;
export const RULES_AT: u32 = 524288;
export const RULES_BYTES: u32 = 491776;
export const MARKS_AT: u32 = 1048576;
export const MARKS_MAX: u32 = 65536;
export const INBOX_AT: u32 = 2097152;
export const INBOX_BYTES: u32 = 68157440;
export const INBOX_READ_BYTES: u32 = 262144; // its end, where sockets read into
export const OUTBOX_AT: u32 = 70254592;
export const OUTBOX_BYTES: u32 = 68157440;
export const COLD_AT: u32 = 138412032;
export const COLD_BYTES: u32 = 100663296;
export const RING_AT: u32 = 239075328;
export const RING_BYTES: u32 = 268435456;
export const BLOCK_AT: u32 = 507510784;
export const BLOCK_BYTES: u32 = 4096;
export const ZEROS_AT: u32 = 507576320;
export const ZEROS_BYTES: u32 = 1048576;
export const MEMORY_PAGES: u32 = 7761; // of 64 KiB; asconfig.json states the same
export const MEMORY_BYTES: u32 = 508624896;

// Row: what a scan or an intake says of one record.
//    0 u32 type       4 u8 flags       5 u8 kind         6 u8 form         7 u8 zero
//                                      8 u32 offset      12 u32 body bytes
//   16 u64 bucket    24 u64 sequence  32 u32 count       36 u32 epoch
//   40 u32 back      44 u32 attempts
export const ROW_TYPE_AT: u32 = 0;
export const ROW_FLAGS_AT: u32 = 4; // one word: flags, kind and form
export const ROW_KIND_AT: u32 = 5;
export const ROW_FORM_AT: u32 = 6;
export const ROW_OFFSET_AT: u32 = 8;
export const ROW_BODY_BYTES_AT: u32 = 12;
export const ROW_BUCKET_AT: u32 = 16;
export const ROW_SEQUENCE_AT: u32 = 24;
export const ROW_COUNT_AT: u32 = 32;
export const ROW_EPOCH_AT: u32 = 36;
export const ROW_BACK_AT: u32 = 40;
export const ROW_ATTEMPTS_AT: u32 = 44;

// Rules: the buckets that the host wants to be asked about before messages for them are packed.
//    0 u32 masks        4 u32 slots, a power of two       8 u32 ranges       12 u32 zero
//   16 masks x u64 mask; then, each at its place, slots x slot, slots x u16 filter, ranges x range
//
//   slot    0 u64 value     8 u32 rule, 0: empty     12 u32 number of its mask
//   range   0 u64 first     8 u64 last, itself in the range     16 u32 rule     20 u32 zero
//
// An id matches a slot if what its mask leaves of it is the value. The slots are one hash table for
// all masks, at most half full, whose entries stand at the first free place from
//
//   ((value xor (number of its mask + 1) x RULES_GROUP) x RULES_HASH) >> (64 - log2(slots))
//
// on, around its end. The filter is for ids that match nothing, which most are: the four bits of
// the product that follow say which bit of that place's u16 is set. Ranges are in order and do not
// overlap. The first that matches says the rule: masks in their order, then ranges. So an id costs
// a look for each mask, however many rules there are; a host with more masks has itself asked about
// all ids, with a mask of 0.
export const RULES_MASKS_COUNT_AT: u32 = 0;
export const RULES_SLOTS_COUNT_AT: u32 = 4;
export const RULES_RANGES_COUNT_AT: u32 = 8;
export const RULES_ZERO_AT: u32 = 12;
export const RULES_MASKS_AT: u32 = 16;
export const RULES_SLOTS_AT: u32 = 256;
export const RULES_FILTER_AT: u32 = 262400;
export const RULES_RANGES_AT: u32 = 295168;
export const RULES_MASKS_MAX: u32 = 16;
export const RULES_SLOTS_MIN: u32 = 2;
export const RULES_SLOTS_MAX: u32 = 16384;
export const RULES_RANGES_MAX: u32 = 8192;
export const RULES_HASH_LOW: u32 = 0x7f4a7c15; // RULES_HASH and RULES_GROUP, in halves
export const RULES_HASH_HIGH: u32 = 0x9e3779b9;
export const RULES_GROUP_LOW: u32 = 0x165667c5;
export const RULES_GROUP_HIGH: u32 = 0x27d4eb2f;
export const RULE_SLOT_BYTES: u32 = 16;
export const RULE_SLOT_VALUE_AT: u32 = 0;
export const RULE_SLOT_RULE_AT: u32 = 8;
export const RULE_SLOT_MASK_AT: u32 = 12;
export const RULE_RANGE_BYTES: u32 = 24;
export const RULE_RANGE_FIRST_AT: u32 = 0;
export const RULE_RANGE_LAST_AT: u32 = 8;
export const RULE_RANGE_RULE_AT: u32 = 16;
export const RULE_RANGE_ZERO_AT: u32 = 20;

// Result: u32 slots at RESULT_AT.
export const RESULT_CONSUMED: u32 = 0; // bytes taken from the inbox, or valid bytes scanned
export const RESULT_MESSAGES: u32 = 1; // messages packed
export const RESULT_ROWS: u32 = 2; // rows filled
export const RESULT_LENGTH: u32 = 3; // the refused Length (low half), or bytes needed to go on
export const RESULT_BYTES_OUT: u32 = 4; // bytes written to the outbox
export const RESULT_PAYLOAD: u32 = 5; // payload bytes among the messages packed
export const RESULT_RULE: u32 = 6; // which rule an intake stopped at; of the run of messages there:
export const RESULT_BUCKET_LOW: u32 = 7;
export const RESULT_BUCKET_HIGH: u32 = 8;
export const RESULT_RUN_MESSAGES: u32 = 9; // whole ones that are there, RUN_MESSAGES_MAX at most
export const RESULT_RUN_PAYLOAD: u32 = 10; // and their payload bytes
export const RESULT_ID: u32 = 11; // 4 words: the id of a message, as in a record of ids

// Status of an intake call; append only.
export const INTAKE_DONE: u32 = 0; // the wire batch is complete
export const INTAKE_MORE: u32 = 1; // the rest is a partial message of RESULT_LENGTH bytes in all
export const INTAKE_EMPTY: u32 = 2; // a message of length 0 was taken and refused
export const INTAKE_LARGE: u32 = 3; // over the limit: header taken, RESULT_LENGTH bytes to skip
export const INTAKE_FOREIGN: u32 = 4; // a Length over the ceiling: not this protocol
export const INTAKE_FULL: u32 = 5; // no room before the write limit
export const INTAKE_ROWS: u32 = 6; // rows are full; call again
export const INTAKE_RULED: u32 = 7; // a run for a bucket of RULES comes next, and there is room

// Messages of a run that are counted before the host is asked again: that bounds the work of it.
export const RUN_MESSAGES_MAX: u32 = 1024;

// Status of a scan call; append only.
export const SCAN_END: u32 = 0; // every byte given was part of a valid record
export const SCAN_MORE: u32 = 1; // the bytes end inside a record of RESULT_LENGTH bytes
export const SCAN_BAD: u32 = 2; // the bytes at RESULT_CONSUMED are not a valid record
export const SCAN_ROWS: u32 = 3; // rows are full; call again
export const SCAN_UNKNOWN: u32 = 4; // a valid record of a type this version does not know

export const ABI_VERSION: u32 = 7;
