// The relay's inside. A producer's message is `bucket | Length | bytes`, a delivered one `Length |
// bytes`: so a chunk is squeezed in place, each message moved left over its bucket number, and
// what is left goes into the bucket's open frame with one copy. Of the ways measured (`npm run
// bench -- codec`) that is the fastest there is here, the WebAssembly codec included, which also
// computes checksums; the broker is compared with the best that this machine can do.

import type net from 'node:net';
import {
  BATCH_HEADER_BYTES,
  BATCH_MESSAGES_MAX,
  BUCKET_BYTES,
  CONSUMER_HEADER_BYTES,
} from '../assembly/layout.ts';
import { decodeConsumerHeader, lengthBytes, type Wire } from '../src/codec/wire.ts';

const ONES = new Uint8Array(BATCH_MESSAGES_MAX).fill(1);
const FRAME_BYTES = 1024 * 1024; // as the broker's deliveries are capped
const QUEUED_BYTES_MAX = 64 * 1024 * 1024; // producers wait above it

/** A delivery frame under construction or under way. */
interface Frame {
  bytes: Uint8Array;
  end: number;
  messages: number;
}

interface Bucket {
  /** Frames no consumer has yet, oldest first; the last one may still grow. */
  frames: Frame[];
  /** Consumers that wait, longest first. */
  idle: Consumer[];
}

interface Consumer {
  socket: net.Socket;
  frame: Frame | undefined;
  unacked: number;
}

export class Relay {
  readonly #headBytes: number;
  readonly #batchMessages: number;
  readonly #buckets = new Map<number, Bucket>();
  readonly #producers = new Set<net.Socket>();
  readonly #pool: Frame[] = [];
  #queuedBytes = 0;
  #paused = false;

  constructor(wire: Wire, batchMessages: number) {
    this.#headBytes = BUCKET_BYTES + lengthBytes(wire);
    this.#batchMessages = batchMessages;
  }

  addProducer(socket: net.Socket): void {
    const stream = new ProducerStream(this.#headBytes, {
      run: (bucket, bytes, messages) => this.#append(bucket, bytes, messages),
      ack: (messages) => {
        if (messages === 0) socket.end();
        else socket.write(ONES.subarray(0, messages));
      },
      room: (bucket) => this.#room(bucket),
    });
    this.#producers.add(socket);
    socket.on('close', () => this.#producers.delete(socket));
    socket.on('data', (chunk: Uint8Array) => {
      stream.push(chunk);
      for (const bucket of this.#buckets.values()) this.#dispatch(bucket);
      if (this.#queuedBytes > QUEUED_BYTES_MAX) this.#setPaused(true);
    });
  }

  addConsumer(socket: net.Socket): void {
    let header = new Uint8Array(0);
    let consumer: Consumer | undefined;
    let bucket: Bucket | undefined;
    socket.on('data', (chunk: Uint8Array) => {
      if (consumer !== undefined && bucket !== undefined) {
        this.#acked(consumer, bucket, chunk.length);
        return;
      }
      header = Uint8Array.from([...header, ...chunk.subarray(0, CONSUMER_HEADER_BYTES)]);
      const wanted = decodeConsumerHeader(header);
      if (wanted === undefined) return;
      if (wanted.batchSize !== this.#batchMessages) {
        socket.destroy(); // frames are made for consumers that are all alike
        return;
      }
      consumer = { socket, frame: undefined, unacked: 0 };
      bucket = this.#bucket(Number(wanted.bucket));
      bucket.idle.push(consumer);
      this.#dispatch(bucket);
    });
    socket.on('close', () => {
      if (bucket === undefined || consumer === undefined) return;
      const { idle } = bucket;
      if (idle.includes(consumer)) idle.splice(idle.indexOf(consumer), 1);
    });
  }

  #bucket(id: number): Bucket {
    let bucket = this.#buckets.get(id);
    if (bucket === undefined) {
      bucket = { frames: [], idle: [] };
      this.#buckets.set(id, bucket);
    }
    return bucket;
  }

  /** Messages that the bucket's open frame still takes. */
  #room(id: number): number {
    const last = this.#bucket(id).frames.at(-1);
    const free = this.#batchMessages - (last?.messages ?? 0);
    return free === 0 ? this.#batchMessages : free;
  }

  #append(id: number, bytes: Uint8Array, messages: number): void {
    const { frames } = this.#bucket(id);
    let frame = frames.at(-1);
    const full =
      frame === undefined ||
      frame.messages + messages > this.#batchMessages ||
      frame.end + bytes.length > frame.bytes.length;
    if (frame === undefined || full) {
      frame = this.#newFrame(BATCH_HEADER_BYTES + bytes.length);
      frames.push(frame);
    }
    frame.bytes.set(bytes, frame.end);
    frame.end += bytes.length;
    frame.messages += messages;
    this.#queuedBytes += bytes.length;
  }

  #newFrame(bytesMin: number): Frame {
    const frame = bytesMin <= FRAME_BYTES ? this.#pool.pop() : undefined;
    if (frame === undefined)
      return {
        bytes: Buffer.allocUnsafeSlow(Math.max(FRAME_BYTES, bytesMin)),
        end: BATCH_HEADER_BYTES,
        messages: 0,
      };
    frame.end = BATCH_HEADER_BYTES;
    frame.messages = 0;
    return frame;
  }

  #dispatch(bucket: Bucket): void {
    while (bucket.idle.length > 0 && bucket.frames.length > 0) {
      const consumer = bucket.idle.shift()!;
      const frame = bucket.frames.shift()!;
      const { bytes, end, messages } = frame;
      new DataView(bytes.buffer, bytes.byteOffset).setUint32(0, messages, true);
      consumer.frame = frame;
      consumer.unacked = messages;
      consumer.socket.write(bytes.subarray(0, end));
      this.#queuedBytes -= end - BATCH_HEADER_BYTES;
      if (this.#paused && this.#queuedBytes < QUEUED_BYTES_MAX / 2) this.#setPaused(false);
    }
  }

  #acked(consumer: Consumer, bucket: Bucket, acks: number): void {
    consumer.unacked -= acks;
    if (consumer.unacked > 0 || consumer.frame === undefined) return;
    if (consumer.frame.bytes.length === FRAME_BYTES) this.#pool.push(consumer.frame);
    consumer.frame = undefined;
    bucket.idle.push(consumer);
    this.#dispatch(bucket);
  }

  #setPaused(paused: boolean): void {
    this.#paused = paused;
    for (const socket of this.#producers) {
      if (paused) socket.pause();
      else socket.resume();
    }
  }
}

/** What a producer's stream is cut into. */
export interface StreamTarget {
  /** Messages of one bucket, as `Length | bytes`; valid during the call. */
  run(bucket: number, bytes: Uint8Array, messages: number): void;
  /** A batch is complete. */
  ack(messages: number): void;
  /** Most messages of the bucket that the next run may have. */
  room(bucket: number): number;
}

/** Cuts a producer's stream into runs of messages for one bucket, squeezing each chunk in place. */
export class ProducerStream {
  readonly #headBytes: number;
  readonly #target: StreamTarget;
  readonly #pieces: Uint8Array[] = []; // of a message or count that chunks have split
  #held = 0;
  #needed = 0; // bytes that complete it
  #count = 0; // messages of the batch
  #left = 0; // of them, not seen yet

  constructor(headBytes: number, target: StreamTarget) {
    this.#headBytes = headBytes;
    this.#target = target;
  }

  push(chunk: Uint8Array): void {
    let bytes = chunk;
    if (this.#held > 0) {
      this.#pieces.push(chunk);
      this.#held += chunk.length;
      if (this.#held < this.#needed) return;
      bytes = Buffer.concat(this.#pieces, this.#held);
      this.#pieces.length = 0;
    }
    const rest = this.#cut(bytes);
    this.#held = rest.length;
    if (rest.length > 0) this.#pieces.push(rest);
  }

  /** Returns what is left: the beginning of a message or count. */
  #cut(bytes: Uint8Array): Uint8Array {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let at = 0;
    for (;;) {
      if (this.#left > 0) at = this.#squeeze(bytes, view, at);
      if (this.#left > 0) return bytes.subarray(at);
      if (bytes.length - at < BATCH_HEADER_BYTES) {
        this.#needed = BATCH_HEADER_BYTES;
        return bytes.subarray(at);
      }
      this.#count = view.getUint32(at, true);
      this.#left = this.#count;
      at += BATCH_HEADER_BYTES;
      if (this.#count === 0) this.#target.ack(0);
    }
  }

  /** Moves the messages from `from` on together and hands them over; returns where it stopped. */
  #squeeze(bytes: Uint8Array, view: DataView, from: number): number {
    const head = this.#headBytes;
    let at = from;
    let runAt = from;
    let out = from;
    let messages = 0;
    let room = 0;
    let low = -1;
    let high = -1;
    const hand = (): void => {
      if (messages > 0)
        this.#target.run(high * 2 ** 32 + low, bytes.subarray(runAt, out), messages);
      messages = 0;
    };
    while (this.#left > 0) {
      const available = bytes.length - at;
      this.#needed = head;
      if (available < head) break;
      const length = view.getUint32(at + BUCKET_BYTES, true);
      this.#needed = head + length;
      if (available < head + length) break;
      const toLow = view.getUint32(at, true);
      const toHigh = view.getUint32(at + 4, true);
      if (toLow !== low || toHigh !== high || messages === room) {
        hand();
        low = toLow;
        high = toHigh;
        room = this.#target.room(high * 2 ** 32 + low);
        runAt = out;
      }
      bytes.copyWithin(out, at + BUCKET_BYTES, at + head + length);
      out += head - BUCKET_BYTES + length;
      at += head + length;
      messages += 1;
      this.#left -= 1;
    }
    hand();
    if (this.#left === 0) this.#target.ack(this.#count);
    return at;
  }
}
