// One record in words, for dump.ts: as an entry for programs, and its details as part of a line for
// people.

import {
  FLAG_LAST,
  FLAG_PROOF,
  MARK_ATTEMPTS_AT,
  MARK_BYTES,
  MARK_COUNT_AT,
  MARK_SEQUENCE_AT,
  MESSAGE_SIZE_BYTES,
  RECORD_COMMIT,
  RECORD_DEFERRED,
  RECORD_HEADER_BYTES,
  RECORD_IDS,
  RECORD_MESSAGES,
  RECORD_PLACED,
  RECORD_PRODUCERS,
  RECORD_RETURNED,
  RECORD_SETTLED,
  RECORD_START,
  RECORD_TRIM,
} from '../../../assembly/layout.ts';
import { bytesAt, deferralsIn, hasFields, headBytesOf } from '../../core/records/placed.ts';
import {
  ATTEMPTS,
  BACK,
  BODY_BYTES,
  BUCKET_HIGH,
  BUCKET_LOW,
  COUNT,
  EPOCH,
  FLAGS,
  OFFSET,
  sequenceOf,
  TYPE,
} from '../../core/records/rows.ts';
import {
  type DeferralEntry,
  deferralEntry,
  deferralText,
  type PlacedEntry,
  type ProducerEntry,
  placedEntry,
  placedText,
  producersOf,
  producerText,
  timeOf,
} from './dump-placed.ts';
import type { ToolSegment } from './segment-walk.ts';
/** 64-bit numbers are decimal strings; sizes and offsets are in bytes. */
export interface RecordEntry {
  type:
    | 'messages'
    | 'settled'
    | 'returned'
    | 'commit'
    | 'start'
    | 'trim'
    | 'placed'
    | 'deferred'
    | 'producers'
    | 'ids';
  segment: string;
  offset: number;
  position: string;
  flags: ('proof' | 'last')[];
  epoch: number;
  /** Log position of the first record of its batch. */
  batch: string;
  bodyBytes: number;
  /** Messages: bucket, first and last sequence, how many, and earlier deliveries of each. */
  bucket?: string;
  firstSequence?: string;
  lastSequence?: string;
  count?: number;
  attempts?: number;
  messages?: MessageEntry[];
  /** Placed: what it says of its messages beyond that; what is not said is not there. */
  placed?: PlacedEntry;
  /** Deferred. */
  deferrals?: DeferralEntry[];
  /** Producers: who, the last number that is stored, and when that was. */
  producers?: ProducerEntry[];
  /** Settled and returned. */
  marks?: { sequence: string; count: number; attempts?: number }[];
  /** Commit and start: the next sequence to be given out; wall clock, ISO 8601. */
  nextSequence?: string;
  time?: string;
  /** Commit: records in the batch before it. */
  records?: number;
  /** Trim: nothing before this log position is needed. */
  needed?: string;
}

export interface MessageEntry {
  sequence: string;
  bytes: number;
  encoding: 'utf8' | 'base64';
  body: string;
}

export interface RecordOptions {
  /** Only messages of this bucket. */
  bucket?: bigint;
  /** Adds the bodies of messages. */
  bodies?: boolean;
}

const TYPES: Record<number, RecordEntry['type']> = {
  [RECORD_MESSAGES]: 'messages',
  [RECORD_SETTLED]: 'settled',
  [RECORD_RETURNED]: 'returned',
  [RECORD_COMMIT]: 'commit',
  [RECORD_START]: 'start',
  [RECORD_TRIM]: 'trim',
  [RECORD_PLACED]: 'placed',
  [RECORD_DEFERRED]: 'deferred',
  [RECORD_PRODUCERS]: 'producers',
  [RECORD_IDS]: 'ids',
};

/**
 * The record in the row that starts at word `at`, in bytes whose first one stands at position `chunk`.
 * Undefined: it is not wanted.
 */
export function recordEntry(
  segment: Pick<ToolSegment, 'name' | 'base'>,
  rows: Uint32Array,
  at: number,
  chunk: number,
  bytes: Uint8Array,
  { bucket, bodies }: RecordOptions,
): RecordEntry | undefined {
  const type = TYPES[rows[at + TYPE]!]!;
  const named = (BigInt(rows[at + BUCKET_HIGH]!) << 32n) | BigInt(rows[at + BUCKET_LOW]!);
  if (bucket !== undefined && ((type !== 'messages' && type !== 'placed') || named !== bucket))
    return undefined;
  const position = chunk + rows[at + OFFSET]!;
  const flags = rows[at + FLAGS]!;
  const entry: RecordEntry = {
    type,
    segment: segment.name,
    offset: position - segment.base,
    position: String(position),
    flags: [
      ...((flags & FLAG_PROOF) === 0 ? [] : (['proof'] as const)),
      ...((flags & FLAG_LAST) === 0 ? [] : (['last'] as const)),
    ],
    epoch: rows[at + EPOCH]!,
    batch: String(position - rows[at + BACK]!),
    bodyBytes: rows[at + BODY_BYTES]!,
  };
  const sequence = sequenceOf(rows, at);
  const count = rows[at + COUNT]!;
  const body = rows[at + OFFSET]! + RECORD_HEADER_BYTES;
  if (type === 'messages' || type === 'placed') {
    entry.bucket = String(named);
    entry.firstSequence = String(sequence);
    entry.lastSequence = String(sequence + count - 1);
    entry.count = count;
    entry.attempts = rows[at + ATTEMPTS]!;
    const from = body + headBytesOf(rows, at);
    if (type === 'placed') entry.placed = placedEntry(rows, at, bytes, body);
    if (bodies) entry.messages = messagesOf(bytes, from, count, sequence, hasFields(rows, at));
  } else if (type === 'settled' || type === 'returned') {
    entry.count = count;
    entry.marks = marksOf(bytes, body, count, type === 'returned');
  } else if (type === 'deferred') {
    entry.count = count;
    entry.deferrals = deferralsIn(bytes, body, count).map(deferralEntry);
  } else if (type === 'producers') {
    entry.count = count;
    entry.producers = producersOf(bytes, body, count);
  } else if (type === 'ids') {
    entry.bucket = String(named);
    entry.count = count;
    entry.time = timeOf(BigInt(sequence));
  } else if (type === 'trim') {
    entry.needed = String(sequence);
  } else {
    entry.nextSequence = String(sequence);
    entry.time = timeOf(named);
    if (type === 'commit') entry.records = count;
  }
  return entry;
}

function messagesOf(
  bytes: Uint8Array,
  at: number,
  count: number,
  first: number,
  fields: boolean,
): MessageEntry[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: count }, (_, i) => {
    const size = view.getUint32(at, true);
    const end = at + MESSAGE_SIZE_BYTES + size;
    const body = bytes.subarray(bytesAt(view, at, fields), end);
    at = end;
    return { sequence: String(first + i), bytes: body.length, ...textOf(body) };
  });
}

function textOf(body: Uint8Array): Pick<MessageEntry, 'encoding' | 'body'> {
  try {
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    return { encoding: 'utf8', body: decoder.decode(body) };
  } catch {
    let binary = '';
    for (const byte of body) binary += String.fromCharCode(byte);
    return { encoding: 'base64', body: btoa(binary) };
  }
}

function marksOf(
  bytes: Uint8Array,
  at: number,
  count: number,
  attempts: boolean,
): { sequence: string; count: number; attempts?: number }[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, count * MARK_BYTES);
  return Array.from({ length: count }, (_, i) => ({
    sequence: String(view.getBigUint64(i * MARK_BYTES + MARK_SEQUENCE_AT, true)),
    count: view.getUint32(i * MARK_BYTES + MARK_COUNT_AT, true),
    ...(attempts ? { attempts: view.getUint32(i * MARK_BYTES + MARK_ATTEMPTS_AT, true) } : {}),
  }));
}

/** What a record says beyond what all of them say, for people. */
export function details(entry: RecordEntry): string {
  if (entry.type === 'placed')
    return `bucket ${entry.bucket} sequences ${entry.firstSequence}-${entry.lastSequence} attempts ${entry.attempts}${placedText(entry.placed!)}`;
  if (entry.deferrals !== undefined) return entry.deferrals.map(deferralText).join(', ');
  if (entry.producers !== undefined) return entry.producers.map(producerText).join(', ');
  if (entry.type === 'ids') return `bucket ${entry.bucket} ids ${entry.count} time ${entry.time}`;
  if (entry.type === 'messages')
    return `bucket ${entry.bucket} sequences ${entry.firstSequence}-${entry.lastSequence} attempts ${entry.attempts}`;
  if (entry.marks !== undefined) {
    const marks = entry.marks.map(({ sequence, count, attempts }) => {
      const last = BigInt(sequence) + BigInt(count) - 1n;
      return `${sequence}-${last}${attempts === undefined ? '' : ` attempts ${attempts}`}`;
    });
    return `sequences ${marks.join(', ')}`;
  }
  if (entry.type === 'trim') return `needed from ${entry.needed}`;
  const records = entry.type === 'commit' ? ` records ${entry.records}` : '';
  return `next ${entry.nextSequence}${records} time ${entry.time}`;
}
