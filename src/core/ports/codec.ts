// The byte work: frames, records, checksums. Cut by who uses it; wasm/engine.ts implements all of
// it in one module and, slowly and plainly, codec/plain.ts.
//
// Offsets count from the start of the area that is named. A *place* is an offset into `memory`,
// where the cold windows stand first and the ring behind them. Numbers are whole; sizes, offsets,
// counts and CRCs are unsigned 32-bit; positions, sequences and times at least 0, exact to 2^53.
//
// What a call returns beyond one number stands in `result` and `rows` (RESULT and ROW of layout.ts).
// They hold until the next call on any of these interfaces: they are read at once, or copied.
//
// Whoever breaks a bound that is said to trap has a bug, never bad input: the module traps
// (WebAssembly.RuntimeError), the plain one throws BugError, and the process must stop either way.
// Bounds of which no trap is told are the caller's to keep.

import type { Position } from './basics.ts';

/** Messages in: what producers send is checked and packed into records of the ring in one pass. */
export interface InboundFrames {
  /** Bytes of one connection on their way in; the end of it is where sockets read into. */
  readonly inbox: Uint8Array;
  /** The RULES of layout.ts: buckets that an intake stops at; all zero until they are written. */
  readonly rules: DataView;
  /** Word by word, ROW_WORDS of them a row: the records that the last `intake` packed. */
  readonly rows: Uint32Array;
  readonly result: Uint32Array;
  /**
   * Bounds what `intake` may write: no record of messages ends beyond `offset` of the open segment.
   * A segment that is opened starts with no room at all. Traps beyond the segment's size.
   */
  setLimit(offset: number): void;
  /**
   * Packs up to `left` messages of one wire batch from the inbox, `at` to before `end`, at the write
   * cursor; neighbours for one bucket share a record. `wire` is 4 or 8, the bytes of Length. Returns
   * an INTAKE status. Results: CONSUMED bytes of the inbox, MESSAGES packed, PAYLOAD bytes in
   * them, ROWS filled, and LENGTH where the status says so. A partial message is not consumed.
   * `admitted`: it was decided about them, so rules do not stop it; else they do, where there are any.
   */
  intake(
    at: number,
    end: number,
    left: number,
    wire: number,
    messageBytesMax: number,
    admitted?: boolean,
  ): number;
  /**
   * Packs the run that an intake stopped at, or up to `most` messages of it, as one placed record
   * behind the head that is in `marks` (RecordMover). Returns INTAKE_DONE, or INTAKE_FULL if not all
   * of these had room; results as of `intake`. Traps if there are fewer whole ones for its bucket.
   */
  intakePlaced(at: number, end: number, most: number, wire: number): number;
  /** Walks the same without storing anything: PAYLOAD and ROWS are 0, nothing is ever full. */
  skim(at: number, end: number, left: number, wire: number, messageBytesMax: number): number;
}

/** Ids of messages, by which it is told that one was published before. */
export interface MessageIds {
  readonly inbox: Uint8Array;
  readonly result: Uint32Array;
  /** Sets what ids of messages are made with: 64 bits, in halves, of which no client is told. */
  setSecret(low: number, high: number): void;
  /**
   * Makes the id of the whole message that stands in the inbox from `at` on, of its bucket and its
   * bytes: 16 bytes, four words in `result` from ID on. Nobody who does not know the secret can find
   * two messages with one id. Traps if the message ends behind `end`.
   */
  identify(at: number, end: number, wire: number): void;
}

/** Records out: the open segment, and the commit batch that is being written into it. */
export interface RecordWriter {
  /** Marks on their way into a record, as long as those of its type: 1 MiB at most. */
  readonly marks: DataView;
  /**
   * Turns to the segment based at `base`, of `segmentBytes` bytes: further records go to `offset` of
   * it and carry `epoch`. Traps if the segment is larger than the ring, or if `offset` is beyond it
   * or no multiple of 8.
   */
  openSegment(base: Position, offset: number, segmentBytes: number, epoch: number): void;
  /** Opens a commit batch at the write cursor. `proof`: all earlier batches are known synced. */
  openBatch(proof: boolean): void;
  /** Sets the sequence number that the next message gets. */
  setSequence(sequence: number): void;
  /** Offset in the open segment at which the next record goes: the write cursor, in bytes. */
  writeAt(): number;
  /** The sequence number that the next message gets. */
  sequence(): number;
  /** Packs the first `count` marks into one record of `type`: settled, returned, deferred, producers,
   * or ids, which say time, bucket and for how long they are to be known, in s. Traps if `count` is 0 or more than `marks` holds, or if the
   * record does not fit the segment. */
  packMarks(
    type: number,
    count: number,
    timeMs?: number,
    bucketLow?: number,
    bucketHigh?: number,
    windowS?: number,
  ): void;
  /** Writes a record without a body: start, trim or commit; the fields mean what layout.ts says of
   * `type`. `timeMs` is since 1970. Traps if it does not fit the segment. */
  packControl(type: number, flags: number, sequence: number, timeMs: number, count: number): void;
}

/** Messages that are in the log already, on their way to another place in it. */
export interface RecordMover {
  /** The head of the record to be stands at its beginning: HEAD_BYTES (layout-placed.ts). */
  readonly marks: DataView;
  readonly rows: Uint32Array;
  readonly result: Uint32Array;
  /**
   * Packs messages `first` to before `first + count` of the verified record whose body is at place
   * `body` into one placed record at the write cursor, with the fields that they have, as messages
   * of the line of `kind` of that bucket. `form`: FORM_SETTLES or 0. Returns false if it does not fit
   * before the limit. Results: MESSAGES, PAYLOAD, ROWS, which is 1. Traps if the body holds fewer
   * messages, or for a kind or form that there is not.
   */
  place(
    body: number,
    bodyBytes: number,
    first: number,
    count: number,
    bucketLow: number,
    bucketHigh: number,
    kind: number,
    form: number,
    attempts: number,
  ): boolean;
}

/** Messages out: a delivery frame is put together in the outbox, and taken. */
export interface OutboundFrames {
  readonly result: Uint32Array;
  /**
   * Appends messages `first` to before `first + count` of the record body at place `body`, which is
   * verified, at offset `outAt` of the outbox: as many as fit before `outMax`. Just behind the
   * frame's header (BATCH_HEADER_BYTES) one message is taken whatever its size. `wire` is 4 or 8.
   * Returns how many; results: MESSAGES, the same, BYTES_OUT, the offset behind them, and PAYLOAD.
   * Traps if the body holds fewer messages than were asked for, or the frame outgrows the outbox.
   */
  deliver(
    body: number,
    bodyBytes: number,
    first: number,
    count: number,
    wire: number,
    outAt: number,
    outMax: number,
  ): number;
  /**
   * Completes the frame of `count` messages, `bytes` bytes in all, and copies it into `into`, or into
   * a new array. Gives what was written. Throws RangeError if `into` is too small.
   */
  takeFrame(count: number, bytes: number, into?: Uint8Array): Uint8Array;
}

/** Records read back, wherever they stand in memory. */
export interface RecordScanner {
  /** Cold windows (the first `coldBytes`), then the ring: an image of the open segment. */
  readonly memory: Uint8Array;
  readonly coldBytes: number;
  /** Word by word, ROW_WORDS of them a row: what the last call found. */
  readonly rows: Uint32Array;
  readonly result: Uint32Array;
  /** Sets the key of the log that is written and read from now on (layout.ts, record). */
  setKey(key: number): void;
  /**
   * Verifies the records in `bytes` bytes at `place`, the first of which stands at `position` in the
   * log. Returns a SCAN status. Results: CONSUMED bytes of valid records, ROWS filled, with
   * offsets that count from `place`, and LENGTH where the status says so.
   */
  scan(place: number, bytes: number, position: Position): number;
  /** The first offset, a multiple of 8, at which the header of a record holds, which is row 0 then;
   * or `bytes`. The body is not looked at. */
  seek(place: number, bytes: number, position: Position): number;
  /** CRC32C of `bytes` bytes at `place`. */
  crc32c(place: number, bytes: number): number;
}

/** The areas of memory that are written to disk as they are. */
export interface DiskAreas {
  /** As with RecordScanner: the open segment begins at `coldBytes`. */
  readonly memory: Uint8Array;
  readonly coldBytes: number;
  /** One block of the disk, aligned as `memory` is: the end of a write, whose place in the ring goes
   * on being filled. */
  readonly block: Uint8Array;
  /** ZEROS_BYTES zeros, aligned; never written. */
  readonly zeros: Uint8Array;
}

/** All of it, for whoever makes one and hands it on. Who works with it names the parts. */
export type Codec = InboundFrames &
  MessageIds &
  RecordWriter &
  RecordMover &
  OutboundFrames &
  RecordScanner &
  DiskAreas;
