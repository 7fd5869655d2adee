// The wire in plain TypeScript, both dialects: the slow twin of what assembly/ does, used by the
// client, the command line and the tests. Bytes in, values out: no sockets, no clock, no node:*.
// Offsets and sizes come from assembly/layout.ts; PROTOCOL.md draws the frames for client authors.

import {
  ACK_DONE,
  ACK_REFUSED,
  ACK_STORED,
  BATCH_HEADER_BYTES,
  BATCH_MESSAGES_MAX,
  BUCKET_BYTES,
  CONSUMER_BATCH_AT,
  CONSUMER_BUCKET_AT,
  CONSUMER_HEADER_BYTES,
  CONSUMER_ID_AT,
  MESSAGE_BYTES_CEILING,
  OUTBOX_BYTES,
  WIRE_U32,
  WIRE_U64,
} from '../../assembly/layout.ts';

/** Dialect: the size of every `Length` on the connection. */
export type Wire = 'u64' | 'u32';

/** What an API accepts as an id, 0 … 2^64-1: bigint, safe integer, or decimal string. */
export type BucketLike = bigint | number | string;

export interface WireMessage {
  readonly bucket: bigint;
  readonly body: Uint8Array;
}

export interface ConsumerHeader {
  readonly consumerId: bigint;
  readonly bucket: bigint;
  /** Most messages the broker may leave unacked on the connection: 1 … 65,536. */
  readonly batchSize: number;
}

/** Bytes that are not this protocol, or not this dialect. The connection cannot be used further. */
export class WireError extends Error {
  override readonly name = 'WireError';
}

export const U64_MAX = 0xffff_ffff_ffff_ffffn;
const U32_RANGE = 0x1_0000_0000;
const PENDING_BYTES_MIN = 4096;

/**
 * Reads a 64-bit id (bucket, consumer). Throws TypeError for another type or a string that is not
 * decimal digits, RangeError outside 0 … 2^64-1 or for a number that is not a safe integer.
 */
export function parseU64(value: BucketLike, what = 'bucket'): bigint {
  if (typeof value === 'bigint') {
    if (value >= 0n && value <= U64_MAX) return value;
  } else if (typeof value === 'number') {
    if (Number.isSafeInteger(value) && value >= 0) return BigInt(value);
    if (Number.isInteger(value) && value > 0)
      throw new RangeError(`${what} ${value} is beyond 2^53: pass a bigint or a decimal string`);
  } else if (typeof value === 'string') {
    if (!/^[0-9]{1,20}$/.test(value))
      throw new TypeError(`${what} ${JSON.stringify(value.slice(0, 40))} is not a decimal number`);
    const parsed = BigInt(value);
    if (parsed <= U64_MAX) return parsed;
  } else {
    throw new TypeError(`${what} must be a bigint, number or decimal string, not ${typeof value}`);
  }
  throw new RangeError(`${what} ${value} is not a whole number from 0 to 2^64-1`);
}

/** Bytes of a `Length` in this dialect: 8 or 4. */
export function lengthBytes(wire: Wire): number {
  return wire === 'u64' ? WIRE_U64 : WIRE_U32;
}

/** Bytes that a published message of `bodyBytes` takes on the wire. */
export function messageBytes(bodyBytes: number, wire: Wire): number {
  return BUCKET_BYTES + lengthBytes(wire) + bodyBytes;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function checkCount(count: number): void {
  if (!Number.isInteger(count) || count < 1 || count > BATCH_MESSAGES_MAX)
    throw new RangeError(`a batch holds 1 to ${BATCH_MESSAGES_MAX} messages, not ${count}`);
}

function checkBody(body: Uint8Array): void {
  if (body.length > MESSAGE_BYTES_CEILING)
    throw new RangeError(
      `a message is at most ${MESSAGE_BYTES_CEILING} bytes (64 MiB), not ${body.length}`,
    );
}

function writeLength(view: DataView, at: number, length: number, wire: Wire): number {
  view.setUint32(at, length, true);
  if (wire === 'u32') return at + WIRE_U32;
  view.setUint32(at + WIRE_U32, 0, true);
  return at + WIRE_U64;
}

/** Writes one producer batch into `target`, which must have exactly the size of the batch. */
export class BatchWriter {
  readonly #target: Uint8Array;
  readonly #view: DataView;
  readonly #wire: Wire;
  #at = BATCH_HEADER_BYTES;

  constructor(target: Uint8Array, count: number, wire: Wire) {
    checkCount(count);
    this.#target = target;
    this.#view = viewOf(target);
    this.#wire = wire;
    this.#view.setUint32(0, count, true);
  }

  /** Appends a message; `bucket` was checked by parseU64, `body` is at most 64 MiB. */
  add(bucket: bigint, body: Uint8Array): void {
    this.#view.setBigUint64(this.#at, bucket, true);
    const at = writeLength(this.#view, this.#at + BUCKET_BYTES, body.length, this.#wire);
    this.#target.set(body, at);
    this.#at = at + body.length;
  }
}

/** One producer batch: u32 count, then count x (u64 bucket, Length, bytes). 1 … 65,536 messages. */
export function encodeBatch(messages: readonly WireMessage[], wire: Wire): Uint8Array {
  let size = BATCH_HEADER_BYTES;
  for (const { body } of messages) {
    checkBody(body);
    size += messageBytes(body.length, wire);
  }
  const bytes = new Uint8Array(size);
  const writer = new BatchWriter(bytes, messages.length, wire);
  for (const { bucket, body } of messages) writer.add(parseU64(bucket), body);
  return bytes;
}

/** What a producer sends before it leaves: a batch size of 0. */
export function encodeGoodbye(): Uint8Array {
  return new Uint8Array(BATCH_HEADER_BYTES);
}

/** The 20 bytes a consumer sends once. RangeError for ids beyond u64 or a batch size of 0. */
export function encodeConsumerHeader(header: ConsumerHeader): Uint8Array {
  checkCount(header.batchSize);
  const bytes = new Uint8Array(CONSUMER_HEADER_BYTES);
  const view = viewOf(bytes);
  view.setBigUint64(CONSUMER_ID_AT, parseU64(header.consumerId, 'consumerId'), true);
  view.setBigUint64(CONSUMER_BUCKET_AT, parseU64(header.bucket), true);
  view.setUint32(CONSUMER_BATCH_AT, header.batchSize, true);
  return bytes;
}

/** Broker side: reads the first 20 bytes, or undefined when there are fewer. */
export function decodeConsumerHeader(bytes: Uint8Array): ConsumerHeader | undefined {
  if (bytes.length < CONSUMER_HEADER_BYTES) return undefined;
  const view = viewOf(bytes);
  const batchSize = view.getUint32(CONSUMER_BATCH_AT, true);
  if (batchSize < 1 || batchSize > BATCH_MESSAGES_MAX)
    throw new WireError(`a consumer asked for batches of ${batchSize} messages`);
  return {
    consumerId: view.getBigUint64(CONSUMER_ID_AT, true),
    bucket: view.getBigUint64(CONSUMER_BUCKET_AT, true),
    batchSize,
  };
}

/** Broker side: one delivery frame: u32 n, then n x (Length, bytes). */
export function encodeDelivery(bodies: readonly Uint8Array[], wire: Wire): Uint8Array {
  checkCount(bodies.length);
  let size = BATCH_HEADER_BYTES;
  for (const body of bodies) {
    checkBody(body);
    size += lengthBytes(wire) + body.length;
  }
  const bytes = new Uint8Array(size);
  const view = viewOf(bytes);
  view.setUint32(0, bodies.length, true);
  let at = BATCH_HEADER_BYTES;
  for (const body of bodies) {
    at = writeLength(view, at, body.length, wire);
    bytes.set(body, at);
    at += body.length;
  }
  return bytes;
}

/** Broker side: the delivery frame of an idle second, one message of length 0. */
export function encodeHeartbeat(wire: Wire): Uint8Array {
  return encodeDelivery([new Uint8Array(0)], wire);
}

/** Ack bytes, one for each message in order: 1 = stored or done, 0 = not stored or failed. */
export function encodeAcks(results: readonly boolean[]): Uint8Array {
  return Uint8Array.from(results, (result) => (result ? ACK_DONE : ACK_REFUSED));
}

/** A producer's reply: true = stored durably. WireError for a byte other than 0 and 1. */
export function decodeAcks(bytes: Uint8Array): boolean[] {
  return Array.from(bytes, (byte) => {
    if (byte !== ACK_STORED && byte !== ACK_REFUSED)
      throw new WireError(`an ack byte is 0 or 1, not ${byte}`);
    return byte === ACK_STORED;
  });
}

/** One complete frame, either way. Its bytes are never reused by the decoder. */
export class Frame {
  readonly count: number;
  readonly bytes: Uint8Array;
  readonly #ends: Uint32Array; // offset behind each message; the head of the next starts there
  readonly #headBytes: number;

  constructor(bytes: Uint8Array, ends: Uint32Array, headBytes: number) {
    this.count = ends.length;
    this.bytes = bytes;
    this.#ends = ends;
    this.#headBytes = headBytes;
  }

  /** Offset of message `index`'s first body byte in `bytes`. */
  start(index: number): number {
    return (index === 0 ? BATCH_HEADER_BYTES : this.#ends[index - 1]) + this.#headBytes;
  }

  /** Offset behind message `index`'s last body byte in `bytes`. */
  end(index: number): number {
    return this.#ends[index];
  }

  /** Body of message `index`, as a view of `bytes`. */
  body(index: number): Uint8Array {
    return this.bytes.subarray(this.start(index), this.end(index));
  }

  /** A delivery frame of one empty message, which is acked and not shown to anybody. */
  get isHeartbeat(): boolean {
    return this.count === 1 && this.start(0) === this.end(0);
  }
}

export interface DecoderLimits {
  /** Most messages in one frame. Default 65,536. */
  batchMessagesMax?: number;
  /** Largest body in bytes. Default 64 MiB. */
  messageBytesMax?: number;
  /** Largest frame in bytes. Default: what a broker's outbox can hold, 65 MiB. */
  batchBytesMax?: number;
}

/**
 * Cuts a byte stream into frames at any split. Holds less than `batchBytesMax` bytes plus 4 for
 * each message of a count that was checked, grows by what has arrived and never by what a length
 * declares, and reads every length once.
 * Chunks handed to `push` must not be changed afterwards: frames are views of them where possible.
 */
class FrameDecoder {
  readonly #lengthBytes: number;
  readonly #headBytes: number;
  readonly #batchMessagesMax: number;
  readonly #messageBytesMax: number;
  readonly #batchBytesMax: number;
  #pending: Uint8Array | undefined;
  #pendingBytes = 0;
  #ends: Uint32Array | undefined; // undefined: the count has not been read
  #index = 0; // messages of the frame seen so far
  #cursor = 0; // bytes of the frame seen so far

  constructor(wire: Wire, prefixBytes: number, limits: DecoderLimits) {
    this.#lengthBytes = lengthBytes(wire);
    this.#headBytes = prefixBytes + this.#lengthBytes;
    this.#batchMessagesMax = limits.batchMessagesMax ?? BATCH_MESSAGES_MAX;
    this.#messageBytesMax = limits.messageBytesMax ?? MESSAGE_BYTES_CEILING;
    this.#batchBytesMax = limits.batchBytesMax ?? OUTBOX_BYTES;
  }

  /** Bytes of an unfinished frame; 0 between frames. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Takes the next bytes of the stream; returns the frames they complete. Throws WireError. */
  push(chunk: Uint8Array): Frame[] {
    const frames: Frame[] = [];
    let bytes = chunk;
    let end = chunk.length;
    if (this.#pendingBytes > 0) {
      bytes = this.#append(chunk);
      end = this.#pendingBytes;
    }
    const view = viewOf(bytes);
    let start = 0;
    while (start < end && this.#scan(view, start, end)) {
      const frame = bytes.subarray(start, start + this.#cursor);
      frames.push(new Frame(frame, this.#ends!, this.#headBytes));
      start += this.#cursor;
      this.#ends = undefined;
      this.#index = 0;
      this.#cursor = 0;
    }
    if (start > 0 || bytes === chunk) {
      this.#pending = undefined; // it may belong to a frame now
      this.#pendingBytes = 0;
      if (start < end) this.#append(bytes.subarray(start, end));
    }
    return frames;
  }

  #append(chunk: Uint8Array): Uint8Array {
    const needed = this.#pendingBytes + chunk.length;
    if (this.#pending === undefined || this.#pending.length < needed) {
      const grown = new Uint8Array(Math.max(needed, 2 * this.#pendingBytes, PENDING_BYTES_MIN));
      if (this.#pending !== undefined) grown.set(this.#pending.subarray(0, this.#pendingBytes));
      this.#pending = grown;
    }
    this.#pending.set(chunk, this.#pendingBytes);
    this.#pendingBytes = needed;
    return this.#pending;
  }

  /** Walks on through the frame at `start`; true when it is complete. */
  #scan(view: DataView, start: number, end: number): boolean {
    const available = end - start;
    if (this.#ends === undefined) {
      if (available < BATCH_HEADER_BYTES) return false;
      const count = view.getUint32(start, true);
      if (count > this.#batchMessagesMax)
        throw new WireError(`a batch of ${count} messages; at most ${this.#batchMessagesMax}`);
      this.#ends = new Uint32Array(count);
      this.#cursor = BATCH_HEADER_BYTES;
    }
    const ends = this.#ends;
    while (this.#index < ends.length) {
      const bodyAt = this.#cursor + this.#headBytes;
      if (bodyAt > available) return false;
      const next = bodyAt + this.#readLength(view, start + bodyAt - this.#lengthBytes);
      if (next > this.#batchBytesMax)
        throw new WireError(`a batch of over ${this.#batchBytesMax} bytes`);
      if (next > available) return false;
      ends[this.#index++] = next;
      this.#cursor = next;
    }
    return true;
  }

  #readLength(view: DataView, at: number): number {
    const high = this.#lengthBytes === WIRE_U64 ? view.getUint32(at + WIRE_U32, true) : 0;
    const length = view.getUint32(at, true) + high * U32_RANGE;
    if (length > this.#messageBytesMax) {
      const exact = this.#lengthBytes === WIRE_U64 ? view.getBigUint64(at, true) : length;
      throw new WireError(`a message of ${exact} bytes; at most ${this.#messageBytesMax}`);
    }
    return length;
  }
}

/** Consumer side: cuts the broker's stream into delivery frames. A frame of 0 messages is wrong. */
export class DeliveryDecoder {
  readonly #frames: FrameDecoder;

  constructor(wire: Wire, limits: DecoderLimits = {}) {
    this.#frames = new FrameDecoder(wire, 0, limits);
  }

  /** Bytes of an unfinished frame; 0 between frames. */
  get pendingBytes(): number {
    return this.#frames.pendingBytes;
  }

  /** Takes the next bytes; returns the frames they complete. WireError ends the connection. */
  push(chunk: Uint8Array): Frame[] {
    const frames = this.#frames.push(chunk);
    for (const frame of frames)
      if (frame.count === 0) throw new WireError('a delivery of 0 messages');
    return frames;
  }
}

/** Broker side: cuts a producer's stream into batches; an empty one is the goodbye. */
export class BatchDecoder {
  readonly #frames: FrameDecoder;
  readonly #headBytes: number;

  constructor(wire: Wire, limits: DecoderLimits = {}) {
    this.#frames = new FrameDecoder(wire, BUCKET_BYTES, limits);
    this.#headBytes = messageBytes(0, wire);
  }

  /** Bytes of an unfinished batch; 0 between batches. */
  get pendingBytes(): number {
    return this.#frames.pendingBytes;
  }

  /** Takes the next bytes; returns the batches they complete, bodies as own copies. */
  push(chunk: Uint8Array): WireMessage[][] {
    return this.#frames.push(chunk).map((frame) => {
      const view = viewOf(frame.bytes);
      return Array.from({ length: frame.count }, (_, index) => {
        const headAt = frame.start(index) - this.#headBytes;
        return { bucket: view.getBigUint64(headAt, true), body: new Uint8Array(frame.body(index)) };
      });
    });
  }
}
