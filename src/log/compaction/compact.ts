// Compaction: makes one small segment of neighbouring ones that hold little that is still needed,
// at the same place in the log. It runs beside the broker, on files that nobody writes any more,
// with a codec of its own. FORMAT.md says why a crash at any point is harmless.
//
//   compact           a spare file is written and synced     the log is what it was
//   swap              it takes the first segment's name      the new segment counts, the others are
//                                                            superseded: still there, never read
//   removeReplaced    the folder is synced, the others and   the log is smaller
//                     the rest of the file are given back
//
// The spare has its blocks already, so that compaction needs no space on a full disk. Without one
// the file is compact.tmp, which grows.

import {
  BLOCK_BYTES,
  MARK_BYTES,
  MARKS_MAX,
  RECORD_COMMIT,
  RECORD_HEADER_BYTES,
  RECORD_IDS,
  RECORD_MESSAGES,
  RECORD_PLACED,
  SEGMENT_HEADER_BYTES,
  SEGMENT_VERSION_PLACED,
} from '../../../assembly/layout.ts';
import { FORM_FIELDS, HEAD_BYTES, ID_BYTES } from '../../../assembly/layout-placed.ts';
import { assert } from '../../core/assert.ts';
import type { Position } from '../../core/ports/basics.ts';
import type { RecordScanner } from '../../core/ports/codec.ts';
import { untilOf, windowOf } from '../../core/records/ids.ts';
import {
  type Head,
  hasFields,
  kindOf,
  readHead,
  settlesFrom,
  writeHead,
} from '../../core/records/placed.ts';
import {
  ATTEMPTS,
  BODY_BYTES,
  COUNT,
  EPOCH,
  OFFSET,
  sequenceOf,
  TYPE,
} from '../../core/records/rows.ts';
import { LogError } from '../files/errors.ts';
import type { Files, Handle } from '../files/files.ts';
import { settle, write } from '../files/promises.ts';
import type { Throttle } from '../files/throttle.ts';
import { readFully, type Visitor, walk } from '../scan/scan.ts';
import {
  COMPACT_NAME,
  decodeHeader,
  encodeHeader,
  endOf,
  identityOf,
  keyOf,
  type SegmentHeader,
  segmentName,
} from '../segments/segment.ts';
import type { Spare } from '../segments/spares.ts';
import { FoldedMarks } from './folded-marks.ts';
import { behind, namesOf, sumOf } from './pieces.ts';
import { type Fields, MovedEntries, Repacker, type RepackerOptions } from './repack.ts';
import { type Compacted, create, cutBack, drop } from './swap.ts';

/** A segment to be compacted; its file must stay open, and no write may go to it any more. */
export interface Source {
  base: Position;
  /** Size of the file. */
  bytes: number;
  handle: Handle;
}

export interface CompactOptions extends Pick<RepackerOptions, 'storedMs'> {
  files: Files;
  /** Used by nobody else meanwhile. */
  codec: RecordScanner;
  logId: bigint;
  /**
   * Neighbours, oldest first, each closed by its last batch. Everything in them and before them
   * must be synced, as the new records say so. Neither the open segment nor the one before it may
   * be among them: parts of both are read from memory, by position.
   */
  segments: readonly Source[];
  /** A file with blocks of its own to write into; if nothing comes of it, it is a spare again. */
  into?: Spare | undefined;
  /** Whether a message of these segments is not needed any more. */
  isSettled: (sequence: number) => boolean;
  /** Deliveries of a message of these segments that ended without an ack. */
  attemptsOf: (sequence: number) => number;
  /** Base of the oldest segment that is needed; durably so, as older ones go at the next start. */
  start: Position;
  /** Sequence of the first message at or behind `start`: marks about older ones are left out. */
  oldestNeeded: number;
  wallMs: () => number;
  pace: Throttle;
  /** Called after every piece that was read or written; work goes on when it settles. */
  turn: () => Promise<void>;
}

// Read at a time; and what so many records take, while others are not to wait.
const CHUNK_BYTES = 1024 * 1024;
const SMALL_CHUNK_RECORDS = 512;
const SMALL_CHUNK_BYTES_MIN = 32 * 1024;
// Synced every so often, so that its writeback does not delay a commit for long.
const SYNC_BYTES = 4 * 1024 * 1024;
const BYTES_MAX = 2 ** 32 - BLOCK_BYTES;
// Told by identity: what would be written is no smaller than what is there.
const NOT_SMALLER = new Error('the compacted segment is not smaller');

/**
 * Writes what is still needed of the segments into `into` or `compact.tmp` and syncs it. Gives
 * undefined if that would not be smaller than they are. Changes nothing of the log; if it throws,
 * no further file is left, unless the system refuses to remove it (then the next call or start
 * does). Throws LogError if the segments do not verify or are no neighbours, or what the system
 * said.
 */
export async function compact(options: CompactOptions): Promise<Compacted | undefined> {
  const { files, into } = options;
  const headers = await readHeaders(options);
  const handle = into?.handle ?? (await create(files));
  const compaction = new Compaction(options, headers, handle);
  try {
    return await compaction.run();
  } catch (error) {
    if (into === undefined) await drop(files, COMPACT_NAME, handle);
    else await cutBack(files, into, compaction.written);
    if (error === NOT_SMALLER) return undefined;
    throw error;
  }
}

async function readHeaders(options: CompactOptions): Promise<SegmentHeader[]> {
  const { files, segments, logId } = options;
  const headers: SegmentHeader[] = [];
  assert(segments.length > 0, 'no segment was given to be compacted');
  for (const { base, bytes, handle } of segments) {
    const name = segmentName(base);
    const head = new Uint8Array(SEGMENT_HEADER_BYTES);
    const got = await readFully(files, handle, head, 0);
    const header = decodeHeader(head.subarray(0, got), name);
    if (header.base !== base || header.bytes !== bytes || header.logId !== logId)
      throw new LogError('damaged', `${name} is not the segment that was to be compacted`);
    const before = headers.at(-1);
    if (before !== undefined && endOf(before) !== base)
      throw new LogError(
        'missing',
        `${name} was to be compacted with what is before it, but that ends at ${endOf(before)}: only neighbours can be`,
      );
    headers.push(header);
  }
  if (sumOf(headers) > BYTES_MAX)
    throw new RangeError(
      `the segments from ${segmentName(headers[0]!.base)} on have over ${BYTES_MAX} bytes: compact fewer at a time`,
    );
  return headers;
}

class Compaction {
  readonly #options: CompactOptions;
  readonly #headers: readonly SegmentHeader[];
  readonly #handle: Handle;
  readonly #repacker: Repacker;
  readonly #timeMs: number;
  readonly #moved = new MovedEntries();
  readonly #marks: FoldedMarks;
  // Sequence that these segments begin with; unknown until the first batch says it.
  #first = -1;
  #next = 0;
  #liveMessages = 0;
  #liveBytes = 0;
  /** Offset behind what is in the file. */
  written = 0;
  #synced = 0;
  #readRecords = 0;
  #readBytes = 0;

  constructor(options: CompactOptions, headers: readonly SegmentHeader[], handle: Handle) {
    this.#options = options;
    this.#headers = headers;
    this.#handle = handle;
    this.#timeMs = options.wallMs();
    this.#marks = new FoldedMarks(options);
    this.#repacker = new Repacker({
      ...options,
      base: headers[0]!.base,
      key: keyOf(options.logId),
      timeMs: this.#timeMs,
    });
    this.written = this.#repacker.offset;
    this.#synced = this.written;
  }

  async run(): Promise<Compacted> {
    const next = await this.#readAll();
    await this.#packMarks();
    this.#repacker.commit(next, true);
    const { base } = this.#headers[0]!;
    const end = endOf(this.#headers.at(-1)!);
    const bytes = Math.ceil(this.#repacker.offset / BLOCK_BYTES) * BLOCK_BYTES;
    if (bytes >= sumOf(this.#headers)) throw NOT_SMALLER;
    await this.#flush();
    const head = encodeHeader({
      base,
      bytes,
      end,
      // Not what older headers and trim records say: if the marks behind a trim were lost with the
      // broker that wrote it, messages before it wait again, and their segments are needed.
      start: this.#options.start,
      logId: this.#options.logId,
      timeMs: this.#timeMs,
      epoch: Math.max(...this.#headers.map(({ epoch }) => epoch)),
      ...(this.#repacker.places ? { version: SEGMENT_VERSION_PLACED } : {}),
    });
    const { files, into } = this.#options;
    await write(files, this.#handle, new Uint8Array(bytes - this.written), this.written);
    await write(files, this.#handle, head, 0);
    await settle((done) => files.sync(this.#handle, done));
    return {
      handle: this.#handle,
      name: into?.name ?? COMPACT_NAME,
      spare: into !== undefined && into.bytes > bytes,
      base,
      bytes,
      end,
      identity: identityOf(head),
      places: this.#repacker.places,
      entries: this.#moved,
      due: this.#marks.due,
      liveMessages: this.#liveMessages,
      liveBytes: this.#liveBytes,
      replaced: this.#options.segments.slice(1).map((source) => segmentName(source.base)),
    };
  }

  // Keeps what is needed of each segment; gives the sequence behind the last.
  async #readAll(): Promise<number> {
    const { files, codec, logId, segments, pace } = this.#options;
    const visitor: Visitor = {
      record: (rows, at, _chunk, bytes) => this.#record(rows, at, bytes),
      commit: () => {},
      chunk: () => this.#chunk(),
      chunkBytes: () => pace.piece(this.#smallChunk(), CHUNK_BYTES),
    };
    let epoch = 0;
    let next = 0;
    for (const { base, bytes, handle } of segments) {
      const name = segmentName(base);
      const source = { name, base, bytes, handle, key: keyOf(logId) };
      const found = await walk(files, codec, source, epoch, visitor);
      if (!found.last)
        throw new LogError(
          'damaged',
          `${name} was to be compacted, but does not verify at offset ${found.stopped}. It stays as it is. Check the disk, then run: thrustmq log verify`,
        );
      ({ epoch, sequence: next } = found);
    }
    return next;
  }

  // What costs time is records, whatever their size.
  #smallChunk(): number {
    const each = this.#readBytes / Math.max(1, this.#readRecords);
    const bytes = Math.floor(each * SMALL_CHUNK_RECORDS);
    return Math.min(CHUNK_BYTES, Math.max(SMALL_CHUNK_BYTES_MIN, bytes));
  }

  async #chunk(): Promise<void> {
    if (this.#repacker.offset >= sumOf(this.#headers)) throw NOT_SMALLER;
    if (this.#repacker.stagedBytes >= CHUNK_BYTES) await this.#flush();
    await this.#options.turn();
  }

  async #flush(): Promise<void> {
    const { files } = this.#options;
    const bytes = this.#repacker.take();
    await write(files, this.#handle, bytes, this.written);
    this.written += bytes.length;
    if (this.written - this.#synced < SYNC_BYTES) return;
    await settle((done) => files.sync(this.#handle, done));
    this.#synced = this.written;
  }

  #record(rows: Uint32Array, at: number, bytes: Uint8Array): void {
    const type = rows[at + TYPE]!;
    this.#readRecords++;
    this.#readBytes += RECORD_HEADER_BYTES + rows[at + BODY_BYTES]!;
    this.#repacker.setEpoch(rows[at + EPOCH]!);
    const count = rows[at + COUNT]!;
    const body = rows[at + OFFSET]! + RECORD_HEADER_BYTES;
    if (type === RECORD_MESSAGES || type === RECORD_PLACED || type === RECORD_COMMIT) {
      if (this.#first < 0) this.#begin(sequenceOf(rows, at));
      if (type === RECORD_MESSAGES) this.#keepLive(rows, at, bytes);
      if (type === RECORD_PLACED) this.#keepPlaced(rows, at, bytes);
    } else if (type === RECORD_IDS) {
      if (untilOf(windowOf(rows, at)) <= this.#timeMs) return;
      const place = bytes.byteOffset - this.#options.codec.memory.byteOffset + body;
      this.#repacker.add({ type, ...namesOf(rows, at) }, place, count * ID_BYTES, this.#next);
    } else this.#marks.add(type, bytes, body, count);
  }

  // An empty batch comes first: its commit says which sequence these segments began with, for a
  // later compaction, which may not take marks about what is dropped here for marks about others.
  #begin(first: number): void {
    this.#first = first;
    this.#marks.first = first;
    this.#next = first;
    this.#repacker.commit(first, false);
  }

  // What a placed record settles becomes a mark, whether or not its messages stay: the ack of one
  // that is left out may not be durable, and where it came from it would come back. So the record
  // does not settle any more; where it came from is still to be read in it.
  #keepPlaced(rows: Uint32Array, at: number, bytes: Uint8Array): void {
    const body = rows[at + OFFSET]! + RECORD_HEADER_BYTES;
    const head = readHead(new DataView(bytes.buffer, bytes.byteOffset), body);
    const count = rows[at + COUNT]!;
    if (settlesFrom(rows, at)) this.#marks.settle(head.from, count);
    this.#keepLive(rows, at, bytes, head);
  }

  // Neighbours that stay, with as many attempts each, become a record.
  #keepLive(rows: Uint32Array, at: number, bytes: Uint8Array, head?: Head): void {
    const { isSettled, codec } = this.#options;
    const first = sequenceOf(rows, at);
    const count = rows[at + COUNT]!;
    // A start knows from marks alone; the record of an earlier compaction may say more.
    const carried = rows[at + ATTEMPTS]!;
    const attemptsOf = (sequence: number) => Math.max(carried, this.#options.attemptsOf(sequence));
    let i = 0;
    while (i < count && isSettled(first + i)) i++;
    if (i === count) return;
    const body = rows[at + OFFSET]! + RECORD_HEADER_BYTES;
    const view = new DataView(bytes.buffer, bytes.byteOffset + body, rows[at + BODY_BYTES]!);
    const place = bytes.byteOffset - codec.memory.byteOffset + body;
    let cursor = head === undefined ? 0 : HEAD_BYTES;
    for (let skipped = 0; skipped < i; skipped++) cursor = behind(view, cursor);
    while (i < count) {
      const sequence = first + i;
      if (isSettled(sequence)) {
        cursor = behind(view, cursor);
        i++;
        continue;
      }
      const attempts = attemptsOf(sequence);
      const from = cursor;
      do {
        cursor = behind(view, cursor);
        i++;
      } while (i < count && !isSettled(first + i) && attemptsOf(first + i) === attempts);
      const fields = {
        ...namesOf(rows, at),
        type: RECORD_MESSAGES,
        sequence,
        count: first + i - sequence,
        attempts,
      };
      if (head === undefined) this.#keep(fields, place + from, cursor - from);
      else {
        // The head goes in front of those that stay, where what was gone through stood.
        const moved = head.from === 0 ? head : { ...head, from: head.from + sequence - first };
        writeHead(view, from - HEAD_BYTES, moved);
        const form = hasFields(rows, at) ? FORM_FIELDS : 0;
        const placed = { ...fields, type: RECORD_PLACED, kind: kindOf(rows, at), form };
        this.#keep(placed, place + from - HEAD_BYTES, cursor - from + HEAD_BYTES, head);
      }
    }
  }

  #keep(fields: Fields, place: number, bodyBytes: number, head?: Head): void {
    const position = this.#repacker.add(fields, place, bodyBytes, this.#next);
    this.#moved.add(fields, position, bodyBytes);
    this.#marks.keep(fields, position, bodyBytes, head);
    this.#next = fields.sequence + fields.count;
    this.#liveMessages += fields.count;
    this.#liveBytes += bodyBytes;
  }

  // The marks are laid out in the codec's memory, which holds nothing else any more.
  async #packMarks(): Promise<void> {
    const { memory, coldBytes } = this.#options.codec;
    const into = memory.subarray(0, Math.min(MARKS_MAX * MARK_BYTES, coldBytes));
    for (const { type, count, bytes } of this.#marks.records(into)) {
      const fields = { type, sequence: 0, bucketLow: 0, bucketHigh: 0, count, attempts: 0 };
      this.#repacker.add(fields, 0, bytes, this.#next);
      await this.#chunk();
    }
  }
}
