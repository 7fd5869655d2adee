// Walks the records of one segment, verified, batch by batch; and looks beyond a bad spot for proof
// that it had been acked. Recovery and the offline tools both read the log through here.

import {
  FLAG_LAST,
  FLAG_PROOF,
  RECORD_ALIGN,
  RECORD_COMMIT,
  RECORD_HEADER_BYTES,
  RESULT_CONSUMED,
  RESULT_LENGTH,
  RESULT_ROWS,
  SCAN_BAD,
  SCAN_MORE,
  SCAN_ROWS,
  SCAN_UNKNOWN,
  SEGMENT_DATA_AT,
} from '../../../assembly/layout.ts';
import type { Position } from '../../core/ports/basics.ts';
import type { RecordScanner } from '../../core/ports/codec.ts';
import {
  BACK,
  BODY_BYTES,
  EPOCH,
  FLAGS,
  OFFSET,
  ROW_WORDS,
  sequenceOf,
  TYPE,
} from '../../core/records/rows.ts';
import { LogError } from '../files/errors.ts';
import type { FilesToRead, Handle } from '../files/files.ts';
import { read } from '../files/promises.ts';

/** A segment as the scan needs it. */
export interface Scannable {
  name: string;
  base: Position;
  bytes: number;
  handle: Handle;
  /** Bytes of its file, where that may have been cut short. */
  fileBytes?: number;
  /** Key of the log it belongs to. */
  key: number;
}

export interface Visitor {
  /** A verified record; `bytes` holds the chunk whose first byte is at log position `chunk`. */
  record(rows: Uint32Array, at: number, chunk: Position, bytes: Uint8Array): void;
  /** A commit record: everything since the last one is a complete batch. */
  commit(): void;
  /** Called after each chunk; the walk goes on when it settles. */
  chunk?(): Promise<void>;
  /** Bytes to read next, unless a record has more; 8 MiB without it. */
  chunkBytes?: () => number;
}

/** Where in a segment a walk begins. */
export interface From {
  /** Offset of a record. */
  offset: number;
  /** Offset at which its batch began. */
  batch: number;
}

/** What a walk found. Offsets count from the segment's first byte. */
export interface Walk {
  /** End of the last complete batch. */
  committed: number;
  /** Where the walk stopped: the first bytes that are no valid continuation. */
  stopped: number;
  /** The last commit said that the log goes on in the next segment. */
  last: boolean;
  /** Start of the last batch that proves all before it, or -1. */
  provedTo: number;
  /** Highest epoch seen, at least the one given. */
  epoch: number;
  /** Sequence after the last complete batch, or -1. */
  sequence: number;
  records: number;
}

const CHUNK_BYTES = 8 * 1024 * 1024;

const START: From = { offset: SEGMENT_DATA_AT, batch: SEGMENT_DATA_AT };

/** Walks a segment's records from its start, or from a record further on. */
export async function walk(
  files: FilesToRead,
  codec: RecordScanner,
  segment: Scannable,
  epoch: number,
  visitor: Visitor,
  from = START,
): Promise<Walk> {
  const result: Walk = {
    committed: from.batch,
    stopped: from.offset,
    last: false,
    provedTo: -1,
    epoch,
    sequence: -1,
    records: 0,
  };
  codec.setKey(segment.key);
  const least = () => visitor.chunkBytes?.() ?? CHUNK_BYTES;
  let { offset } = from;
  let want = least();
  while (offset < segment.bytes && !result.last) {
    const bytes = Math.min(want, segment.bytes - offset, codec.coldBytes);
    const got = await readChunk(files, segment, codec.memory.subarray(0, bytes), offset);
    const step = scanChunk(codec, segment, offset, got, result, visitor);
    offset += step.consumed;
    result.stopped = offset;
    await visitor.chunk?.();
    if (step.stop) break;
    const enough = step.need > 0 && offset + step.need <= segment.bytes && got === bytes;
    if (step.need > 0 && !enough) break; // a record that claims to end beyond the segment
    want = Math.max(least(), step.need);
    if (step.need > codec.coldBytes) break;
  }
  return result;
}

/** What a chunk came to: bytes that hold, bytes that its last record needs, and whether it ends. */
export interface Step {
  consumed: number;
  need: number;
  stop: boolean;
}

/**
 * Verifies one chunk, which stands in memory from `place` on, and hands its rows on. Throws LogError
 * `version` at a record of a type that is not known.
 */
export function scanChunk(
  codec: RecordScanner,
  segment: Pick<Scannable, 'name' | 'base'>,
  offset: number,
  bytes: number,
  result: Walk,
  visitor: Visitor,
  place = 0,
): Step {
  let consumed = 0;
  for (;;) {
    const chunk = segment.base + offset + consumed;
    const status = codec.scan(place + consumed, bytes - consumed, chunk);
    const rows = codec.result[RESULT_ROWS]!;
    const valid = codec.result[RESULT_CONSUMED]!;
    const need = codec.result[RESULT_LENGTH]!;
    const view = codec.memory.subarray(place + consumed, place + consumed + valid);
    for (let i = 0; i < rows; i++) {
      const at = i * ROW_WORDS;
      const here = offset + consumed + codec.rows[at + OFFSET]!;
      if (!follows(codec.rows, at, here, result))
        return { consumed: here - offset, need: 0, stop: true };
      note(codec.rows, at, here, result);
      visitor.record(codec.rows, at, chunk, view);
      if (codec.rows[at + TYPE] === RECORD_COMMIT) visitor.commit();
      if (result.last) return { consumed: result.committed - offset, need: 0, stop: true };
    }
    consumed += valid;
    if (status === SCAN_ROWS) continue;
    if (status === SCAN_UNKNOWN)
      throw new LogError(
        'version',
        `${segment.name} holds a record of unknown type at offset ${offset + consumed}: it was written by a newer release. Nothing was changed`,
      );
    if (status === SCAN_MORE) return { consumed, need, stop: false };
    return { consumed, need: 0, stop: status === SCAN_BAD || bytes === 0 };
  }
}

// A valid record continues the log only if it belongs to the batch that is open here and to no
// earlier life of the broker; otherwise it is a stale byte that happens to stand at its place.
function follows(rows: Uint32Array, at: number, here: number, result: Walk): boolean {
  return rows[at + EPOCH]! >= result.epoch && here - rows[at + BACK]! === result.committed;
}

function note(rows: Uint32Array, at: number, here: number, result: Walk): void {
  result.records++;
  result.epoch = rows[at + EPOCH]!;
  const flags = rows[at + FLAGS]!;
  if ((flags & FLAG_PROOF) !== 0) result.provedTo = result.committed;
  if (rows[at + TYPE] !== RECORD_COMMIT) return;
  result.committed = here + RECORD_HEADER_BYTES + Math.ceil(rows[at + BODY_BYTES]! / 8) * 8;
  result.last = (flags & FLAG_LAST) !== 0;
  result.sequence = sequenceOf(rows, at);
}

/** What stands beyond a bad spot. */
export interface Beyond {
  /** Offset of a record that proves that the bad spot had been synced, or -1. */
  proof: number;
  /** End of the last record whose header holds at or after `from`, or `from` if there is none. */
  end: number;
}

/**
 * Looks for record headers from offset `from` to the end of the segment. One of a batch that began
 * after `bad`, in the same or a later epoch, written when all before it was synced, is proof.
 */
export async function lookBeyond(
  files: FilesToRead,
  codec: RecordScanner,
  segment: Scannable,
  from: number,
  bad: number,
  epoch: number,
): Promise<Beyond> {
  const beyond: Beyond = { proof: -1, end: from };
  for await (const offset of headers(files, codec, segment, from)) {
    const whole = RECORD_HEADER_BYTES + Math.ceil(codec.rows[BODY_BYTES]! / 8) * 8;
    beyond.end = Math.max(beyond.end, Math.min(offset + whole, segment.bytes));
    const proves = (codec.rows[FLAGS]! & FLAG_PROOF) !== 0;
    if (proves && codec.rows[EPOCH]! >= epoch && offset - codec.rows[BACK]! > bad) {
      beyond.proof = offset;
      break;
    }
  }
  return beyond;
}

/**
 * Offsets, at or after `from`, of record headers that hold, found without believing any length.
 * Row 0 of the codec says what each of them says; the body may be damaged.
 */
export async function* headers(
  files: FilesToRead,
  codec: RecordScanner,
  segment: Scannable,
  from: number,
): AsyncGenerator<number> {
  codec.setKey(segment.key);
  for (let offset = from; offset + RECORD_HEADER_BYTES <= segment.bytes; ) {
    const bytes = Math.min(CHUNK_BYTES, segment.bytes - offset);
    const got = await readChunk(files, segment, codec.memory.subarray(0, bytes), offset);
    if (got < RECORD_HEADER_BYTES) return;
    for (let at = 0; at + RECORD_HEADER_BYTES <= got; at += RECORD_ALIGN) {
      at += codec.seek(at, got - at, segment.base + offset + at);
      if (at >= got) break;
      yield offset + at;
    }
    if (got < bytes) return;
    // A header that straddles the chunk's end is looked at again.
    offset += Math.max(RECORD_ALIGN, got - RECORD_HEADER_BYTES + RECORD_ALIGN);
  }
}

// A file that gives less than it has is no end of the log: what stands behind would be overwritten.
async function readChunk(
  files: FilesToRead,
  segment: Scannable,
  into: Uint8Array,
  at: number,
): Promise<number> {
  const { name, bytes, handle, fileBytes = bytes } = segment;
  const got = await readFully(files, handle, into, at);
  if (got < into.length && at + got < fileBytes)
    throw new LogError(
      'io',
      `${name} ended at byte ${at + got} while it was read, but has ${fileBytes}`,
    );
  return got;
}

/** Reads until the buffer is full or the file ends. */
export async function readFully(
  files: FilesToRead,
  handle: Handle,
  into: Uint8Array,
  at: number,
): Promise<number> {
  let got = 0;
  while (got < into.length) {
    const more = await read(files, handle, into.subarray(got), at + got);
    if (more <= 0) break;
    got += more;
  }
  return got;
}
