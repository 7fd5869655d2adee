// What the core needs from the world, as small interfaces. The core decides and never touches the
// world; io/, log/ and wasm/ touch it and never decide. Each port has a real version and a twin for
// tests. No method may call back into the core before it returned.

/** A number of a log position, sequence or offset: whole, at least 0, exact up to 2^53. */
export type Position = number;

/**
 * The byte work: frames, records, checksums. Implemented by wasm/engine.ts and, slowly and plainly,
 * by codec/plain.ts. Offsets into `inbox`, `marks` and `memory` count from the start of that area.
 * A *place* is an offset into `memory`: cold windows first, then the ring.
 */
export interface Codec {
  /** Bytes of one connection on their way in. */
  readonly inbox: Uint8Array;
  /** Marks on their way into a record: u64 sequence, u32 count, u32 attempts each. */
  readonly marks: DataView;
  /** Cold windows (the first `coldBytes`), then the ring: an image of the open segment. */
  readonly memory: Uint8Array;
  readonly coldBytes: number;
  /** One block of the disk, aligned as `memory` is: the end of a write, whose place in the ring goes
   * on being filled. */
  readonly block: Uint8Array;
  /** Zeros, aligned; never written. */
  readonly zeros: Uint8Array;
  /** The RESULT slots of layout.ts, valid until the next call. */
  readonly result: Uint32Array;
  /** The ROWS of layout.ts as 32-bit words, valid until the next call. */
  readonly rows: Uint32Array;

  /** Sets the key of the log that is written and read from now on (layout.ts, record). */
  setKey(key: number): void;
  openSegment(base: Position, offset: number, segmentBytes: number, epoch: number): void;
  openBatch(proof: boolean): void;
  setLimit(offset: number): void;
  setSequence(sequence: number): void;
  /** Offset in the open segment at which the next record goes. */
  writeAt(): number;
  sequence(): number;
  /** Packs messages of one wire batch from the inbox; returns an INTAKE status. */
  intake(at: number, end: number, left: number, wire: number, messageBytesMax: number): number;
  /** Walks the same without storing anything. */
  skim(at: number, end: number, left: number, wire: number, messageBytesMax: number): number;
  packMarks(type: number, count: number): void;
  packControl(type: number, flags: number, sequence: number, timeMs: number, count: number): void;
  /** Appends messages of a record body to the outbox; returns how many fit. */
  deliver(
    body: number,
    bodyBytes: number,
    first: number,
    count: number,
    wire: number,
    outAt: number,
    outMax: number,
  ): number;
  /** Completes the frame of `bytes` bytes in the outbox; copies it into `into`, or a new array. */
  takeFrame(count: number, bytes: number, into?: Uint8Array): Uint8Array;
  /** Verifies records at a place; returns a SCAN status. */
  scan(place: number, bytes: number, position: Position): number;
  /** First aligned offset whose record header holds, or `bytes`. */
  seek(place: number, bytes: number, position: Position): number;
  crc32c(place: number, bytes: number): number;
}

/** Where the log goes on after recovery. */
export interface Resume {
  base: Position;
  offset: number;
  segmentBytes: number;
  epoch: number;
  sequence: number;
}

/** Outcome of a log operation: undefined, or why it failed. */
export type Failure = Error | undefined;

/** Records in the order of the log, for the index of their segment; `i` counts from 0. */
export interface EntrySource {
  readonly count: number;
  bucketLow(i: number): number;
  bucketHigh(i: number): number;
  sequence(i: number): number;
  position(i: number): Position;
  messages(i: number): number;
  bodyBytes(i: number): number;
  attempts(i: number): number;
}

/** A record of messages as an index names it. */
export interface Found {
  sequence: number;
  position: Position;
  messages: number;
  bodyBytes: number;
  attempts: number;
}

/** What the complete segments come to, oldest first, for a start that need not read them. */
export interface CheckpointSource {
  /** Position before which nothing is needed. */
  start: Position;
  segments: { base: Position; first: number; messages: number; live: number }[];
  /** Sequence behind the last message of these segments. */
  end: number;
  /** What became of messages before `end`; pages of later ones are left out. */
  settled: { pages(): Iterable<[number: number, bits: Uint32Array | undefined]> };
  attempts: { pages(): Iterable<[number: number, page: number | Uint16Array]> };
}

/** Neighbouring segments that are to become one smaller one, without what is settled. */
export interface CompactionRequest {
  /** Oldest first; none of them is open or read from the ring. */
  bases: readonly Position[];
  isSettled: (sequence: number) => boolean;
  attemptsOf: (sequence: number) => number;
  /** Whether it is urgent; asked again and again. Otherwise it takes a small share of the time. */
  hurry: () => boolean;
  /** Base of the oldest segment that is needed. */
  start: Position;
  /** Sequence of the oldest message that marks may still speak of. */
  oldestNeeded: number;
  /** Called within the turn in which the records from `base` to before `end` changed places. */
  moved: (base: Position, end: Position, entries: EntrySource) => void;
}

/**
 * The durable log as the core sees it: one append in flight, reads, and giving back. The file
 * implementation is log/file-log.ts; a replicated stream could stand here too.
 */
export interface Log {
  readonly segmentBytes: number;
  /** Whether somebody waits for acks who publishes little: what is done beside is to be in its way
   * as little as may be. `large`: others publish large messages. */
  beGentle(gentle: boolean, large: boolean): void;
  /** Whether the segment behind the open one is there, durably: the writer may go on to it. */
  nextReady(): boolean;
  /**
   * Whether messages may go on to it, too: a further one can be had behind it. Where it cannot, the
   * next one is kept for what consumers cause.
   */
  mayGrow(): boolean;
  /** Why that is not so and will not be for now ("no space left"), or undefined while it may come. */
  blocked(): string | undefined;
  /** Whether an append found no space and waits for some: nothing more should be accepted. */
  stalled(): boolean;
  /**
   * Writes the `bytes` bytes that stand in the ring for `position` and makes them durable as the
   * sync mode says. `done` comes later, never within the call. After a failure every further
   * append fails: what reached the disk is unknown until the log is recovered.
   */
  append(position: Position, bytes: number, done: (failure: Failure) => void): void;
  /** Everything before this position is synced. Lags behind appends unless the mode is commit. */
  readonly syncedPosition: Position;
  /** The open segment is complete; the one based at `base` is open now. */
  roll(base: Position): void;
  /** Place of a record that is in memory and verified, or -1; `gently` as with `load`. */
  resident(position: Position, recordBytes: number, gently?: boolean): number;
  /**
   * Brings a record into memory; `done` with why it cannot be had. `gently`: others publish now and
   * then, and should not wait for somebody who reads as fast as he can; without it, as before.
   */
  load(
    position: Position,
    recordBytes: number,
    done: (failure: Failure) => void,
    gently?: boolean,
  ): void;
  /**
   * Writes the index of the segment based at `base`, which is complete, so that `find` knows its
   * records. `source` must not change before `done`. After a failure it may be tried again.
   */
  index(base: Position, source: EntrySource, done: (failure: Failure) => void): void;
  /**
   * Records of a bucket in an indexed segment that reach to `sequence` or beyond, oldest first, at
   * most `most`. `at` is 0, or the `next` of the call before this one; `next` undefined: that is
   * all. An index that is damaged is made again from the segment first.
   */
  find(
    query: { base: Position; low: number; high: number; sequence: number; at: number },
    most: number,
    done: (failure: Failure, found: Found[], next: number | undefined) => void,
  ): void;
  /** Makes one segment of several; `smaller` false: it would not have been, nothing changed. */
  compact(request: CompactionRequest, done: (failure: Failure, smaller: boolean) => void): void;
  /** Size of the file of the segment based at `base`. */
  fileBytes(base: Position): number;
  /**
   * A segment was indexed: the log may save what those that are come to. Calls `state` at once if
   * it does. With `now` it does in any case, and `done` says when.
   */
  checkpoint(end: Position, state: () => CheckpointSource, now?: boolean, done?: () => void): void;
  /** Nothing before `position` is needed any more; a trim record saying so is durable. */
  trim(position: Position): void;
  /** Oldest position still on disk. */
  readonly startPosition: Position;
  /** Bases of the segments on disk, oldest first, the open one last. */
  bases(): readonly Position[];
}

/** One connection as the core sees it. No method throws, also not after the peer is gone. */
export interface Link {
  readonly id: number;
  /** Remote address and port, for people. */
  readonly peer: string;
  /** Remote address alone, for the cap per address; absent where there is none. */
  readonly address?: string | undefined;
  /** Dialect: bytes of Length. */
  readonly wire: number;
  /** Sends bytes that the core will not touch until `queuedBytes` is 0 or the link is gone. */
  send(bytes: Uint8Array): void;
  /** Sends what is queued, then closes. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
  pause(): void;
  resume(): void;
  /** Whether it was closed: nothing that is sent arrives any more. */
  readonly destroyed: boolean;
  /** Bytes accepted by `send` that the system has not taken yet. */
  readonly queuedBytes: number;
}

/** Lines for the operator. `kind` is stable and is what repeats are limited by. */
export interface Notices {
  notice(level: 'info' | 'warn' | 'error', kind: string, text: string, fields?: object): void;
}

/** Asks to be woken. */
export interface Wake {
  /** The broker's `flush` is to be called after the inputs that wait now. */
  soon(): void;
  /** The broker's `rested` is to be called after about so many ms, once. */
  rest(ms: number): void;
  /** The core slept and has work again: `advance` is to be called a tick from now, if not before.
   * Gives the monotonic ms that it is now. */
  stirred(): number;
}
