// What each message of the stream begins with (layout-cluster.ts), as an object; composed by
// whoever owns the log, read by all.

import {
  STREAM_BASE,
  STREAM_BATCH_AT,
  STREAM_BODY_CRC_AT,
  STREAM_CLOSES,
  STREAM_CRC_AT,
  STREAM_ENVELOPE_BYTES,
  STREAM_EPOCH_AT,
  STREAM_JSON_AT,
  STREAM_JSON_MAX,
  STREAM_KIND_AT,
  STREAM_KIND_MAX,
  STREAM_LOG_ID_AT,
  STREAM_MAGIC,
  STREAM_MAGIC_AT,
  STREAM_NODE_AT,
  STREAM_OFFSET_AT,
  STREAM_PART,
  STREAM_POSITION_AT,
  STREAM_RESIGN,
  STREAM_START,
  STREAM_UNUSED,
  STREAM_VERSION,
  STREAM_VERSION_AT,
} from '../../../assembly/layout-cluster.ts';
import { assert } from '../assert.ts';
import type { Position } from '../ports/basics.ts';

/** CRC32C of some bytes. */
export type Checksum = (bytes: Uint8Array) => number;

/** What a sender says of its message. */
export interface Fields {
  /** A kind of layout-cluster.ts, without STREAM_CLOSES. */
  readonly kind: number;
  /** Whether the batch closes its segment. */
  readonly closes: boolean;
  readonly logId: bigint;
  readonly epoch: number;
  readonly node: number;
  readonly position: Position;
  /** Bytes of the whole batch; 0 where there is none. */
  readonly batchBytes: number;
  /** Of this part in its batch, in bytes; or the serial number of a base or resign. */
  readonly offset: number;
  /** Bytes of JSON in front of the part. */
  readonly jsonBytes: number;
}

/** What a reader finds: the fields, and what stands behind them. */
export interface Envelope extends Fields {
  /** Bytes of the part, without JSON. */
  readonly partBytes: number;
}

/** Why a message is passed over: it is cut short, no such message, damaged, or of another log. */
export type Unread = 'short' | 'magic' | 'version' | 'crc' | 'kind' | 'log';

/** Writes the envelope of `body` (JSON and part) into the first 48 bytes of `into`. */
export function writeEnvelope(
  into: Uint8Array,
  fields: Fields,
  body: Uint8Array | undefined,
  crc32c: Checksum,
): void {
  assert(fields.jsonBytes <= STREAM_JSON_MAX, 'JSON of a message is too long');
  const view = viewOf(into);
  view.setUint32(STREAM_MAGIC_AT, STREAM_MAGIC, true);
  view.setBigUint64(STREAM_LOG_ID_AT, fields.logId, true);
  view.setBigUint64(STREAM_POSITION_AT, BigInt(fields.position), true);
  view.setUint32(STREAM_EPOCH_AT, fields.epoch, true);
  view.setUint32(STREAM_BATCH_AT, fields.batchBytes, true);
  view.setUint32(STREAM_OFFSET_AT, fields.offset, true);
  view.setUint32(STREAM_NODE_AT, fields.node, true);
  view.setUint8(STREAM_VERSION_AT, STREAM_VERSION);
  view.setUint8(STREAM_KIND_AT, fields.kind | (fields.closes ? STREAM_CLOSES : 0));
  view.setUint16(STREAM_JSON_AT, fields.jsonBytes, true);
  view.setUint32(STREAM_BODY_CRC_AT, body === undefined ? 0 : crc32c(body), true);
  view.setUint32(STREAM_CRC_AT, headCrc(into, crc32c), true);
}

/** Reads a whole message; gives why not where it is none of this log. */
export function readEnvelope(
  bytes: Uint8Array,
  logId: bigint,
  crc32c: Checksum,
): Envelope | Unread {
  if (bytes.length < STREAM_ENVELOPE_BYTES) return 'short';
  const view = viewOf(bytes);
  if (view.getUint32(STREAM_MAGIC_AT, true) !== STREAM_MAGIC) return 'magic';
  if (view.getUint32(STREAM_CRC_AT, true) !== headCrc(bytes, crc32c)) return 'crc';
  if (view.getBigUint64(STREAM_LOG_ID_AT, true) !== logId) return 'log';
  if (view.getUint8(STREAM_VERSION_AT) !== STREAM_VERSION) return 'version';
  const body = bytes.subarray(STREAM_ENVELOPE_BYTES);
  const bodyCrc = body.length === 0 ? 0 : crc32c(body);
  if (view.getUint32(STREAM_BODY_CRC_AT, true) !== bodyCrc) return 'crc';
  const envelope = fieldsOf(view, body.length);
  return isSound(envelope) ? envelope : 'kind';
}

/** Of which log a message is, whatever it says; undefined where it is none of such a stream. */
export function logIdOf(bytes: Uint8Array, crc32c: Checksum): bigint | undefined {
  if (bytes.length < STREAM_ENVELOPE_BYTES) return undefined;
  const view = viewOf(bytes);
  const isOne =
    view.getUint32(STREAM_MAGIC_AT, true) === STREAM_MAGIC &&
    view.getUint32(STREAM_CRC_AT, true) === headCrc(bytes, crc32c);
  return isOne ? view.getBigUint64(STREAM_LOG_ID_AT, true) : undefined;
}

function fieldsOf(view: DataView, bodyBytes: number): Envelope {
  const kind = view.getUint8(STREAM_KIND_AT);
  const jsonBytes = view.getUint16(STREAM_JSON_AT, true);
  return {
    kind: kind & ~STREAM_CLOSES,
    closes: (kind & STREAM_CLOSES) !== 0,
    logId: view.getBigUint64(STREAM_LOG_ID_AT, true),
    epoch: view.getUint32(STREAM_EPOCH_AT, true),
    node: view.getUint32(STREAM_NODE_AT, true),
    position: Number(view.getBigUint64(STREAM_POSITION_AT, true)),
    batchBytes: view.getUint32(STREAM_BATCH_AT, true),
    offset: view.getUint32(STREAM_OFFSET_AT, true),
    jsonBytes,
    partBytes: bodyBytes - jsonBytes,
  };
}

// Whether the fields fit each other, so that nobody behind has to look at them again.
function isSound({ kind, batchBytes, offset, partBytes, position }: Envelope): boolean {
  if (kind < STREAM_START || kind > STREAM_KIND_MAX || kind === STREAM_UNUSED) return false;
  if (partBytes < 0 || !Number.isSafeInteger(position)) return false;
  if (kind === STREAM_START) return partBytes > 0 && offset === 0 && partBytes === batchBytes;
  if (kind === STREAM_PART) return partBytes > 0 && offset + partBytes <= batchBytes;
  return partBytes === 0 && batchBytes === 0;
}

/** Whether a message of this kind says that its sender works, disk and all. What is told of a base
 * does not: it passes by the disk. */
export function isSignOfLife(kind: number): boolean {
  return kind !== STREAM_BASE;
}

/** Whether messages of this kind are sent with nothing of the same owner beside them. */
export function isAlone(kind: number): boolean {
  return kind === STREAM_START || kind === STREAM_RESIGN;
}

/** Whether a message is the one that begins with this envelope, which says what its body is. */
export function isSame(envelope: Uint8Array, message: Uint8Array): boolean {
  return envelope.every((byte, i) => message[i] === byte);
}

/** What the sender wrote in front of the part, as text; of a message that was read. */
export function jsonOf(bytes: Uint8Array, envelope: Envelope): Uint8Array {
  return bytes.subarray(STREAM_ENVELOPE_BYTES, STREAM_ENVELOPE_BYTES + envelope.jsonBytes);
}

/** The part itself. */
export function partOf(bytes: Uint8Array, envelope: Envelope): Uint8Array {
  return bytes.subarray(STREAM_ENVELOPE_BYTES + envelope.jsonBytes);
}

function headCrc(bytes: Uint8Array, crc32c: Checksum): number {
  return crc32c(bytes.subarray(STREAM_MAGIC_AT, STREAM_ENVELOPE_BYTES));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
