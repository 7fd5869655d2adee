// The order of a producer's publications and the window over them: what goes into the next wire
// batch, whose an ack byte is, what a lost connection leaves behind. No socket, no clock.
//
//   publications:  [ … on the wire … ][ waiting … ]      each settles in this order
//                  ^ first            ^ #cursor

import { BATCH_HEADER_BYTES } from '../../assembly/layout.ts';
import { BatchWriter, messageBytes, type Wire, WireError } from '../codec/wire.ts';
import { ThrustError } from './errors.ts';
import type { Publication } from './publication.ts';
import { Queue, Queued } from './queue.ts';

export interface PipelineLimits {
  readonly maxInFlight: number;
  readonly maxInFlightBytes: number;
  readonly batchMessagesMax: number;
  readonly batchBytesMax: number;
}

class SentBatch extends Queued<SentBatch> {
  readonly bytes: number;
  unanswered: number;

  constructor(bytes: number, messages: number) {
    super();
    this.bytes = bytes;
    this.unanswered = messages;
  }
}

/** How messages end whose connection was lost before their ack came. */
export function unknownOutcome(publication: Publication, cause: ThrustError): ThrustError {
  const what = publication.count === 1 ? 'a message' : `${publication.count} messages`;
  return new ThrustError(
    'UNKNOWN_OUTCOME',
    `${what} sent but not acked when the connection ended, so stored or not: ${cause.message}; ` +
      'send again if a duplicate does no harm, or set retry: true',
    { cause, results: publication.results() },
  );
}

export class Pipeline {
  readonly #wire: Wire;
  readonly #limits: PipelineLimits;
  readonly #publications = new Queue<Publication>();
  #batches = new Queue<SentBatch>();
  #cursor: Publication | undefined; // the first that may have messages to send
  #inFlight = 0;
  #inFlightBytes = 0;
  #waiting = 0;

  constructor(wire: Wire, limits: PipelineLimits) {
    this.#wire = wire;
    this.#limits = limits;
  }

  /** Messages on the wire without an ack. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Messages taken but not on the wire yet. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Of the publications since the beginning, those before this one have all left. */
  get left(): number {
    return this.#publications.left;
  }

  /** Publications taken since the beginning. */
  get taken(): number {
    return this.#publications.added;
  }

  add(publication: Publication): void {
    this.#publications.push(publication);
    this.#cursor ??= publication;
    this.#waiting += publication.count;
  }

  /** Settles one publication before its acks came; what is on the wire of it stays there. */
  abandon(publication: Publication, error: unknown): void {
    if (publication.settled) return;
    this.#waiting -= publication.count - publication.sent;
    publication.fail(error);
    this.#leave(publication);
  }

  /** The next wire batch, now counted as sent; undefined while the window is full or all sent. */
  nextBatch(): Uint8Array | undefined {
    let head = this.#cursor;
    while (head !== undefined && (head.settled || head.sent === head.count)) head = head.next;
    this.#cursor = head;
    if (head === undefined) return undefined;
    if (head.encoded !== undefined) {
      const { bytes, count } = head.encoded;
      const fits =
        this.#inFlight + count <= this.#limits.maxInFlight &&
        this.#inFlightBytes + bytes.length <= this.#limits.maxInFlightBytes;
      if (!fits && this.#inFlight > 0) return undefined;
      head.sent = count;
      this.#sent(count, bytes.length);
      return bytes;
    }
    const { count, bytes } = this.#measure(head);
    if (count === 0) return undefined;
    const batch = this.#write(head, count, bytes);
    this.#sent(count, bytes);
    return batch;
  }

  /** Gives ack bytes to the messages they belong to. WireError when they belong to none. */
  answer(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      const publication = this.#publications.first;
      if (publication === undefined || publication.outstanding === 0)
        throw new WireError(`${chunk.length - at} ack bytes that no message waits for`);
      const take = Math.min(publication.outstanding, chunk.length - at);
      publication.answer(chunk, at, take);
      at += take;
      this.#leave(publication);
    }
    this.#inFlight -= chunk.length;
    this.#answerBatches(chunk.length);
  }

  /** Nothing is on the wire any more. What was: sent again later, or ends as unknown. */
  lost(error: ThrustError, retry: boolean): void {
    const end = this.#cursor?.next;
    let one = this.#publications.first;
    while (one !== end && one !== undefined) {
      const publication = one;
      const { outstanding, settled } = publication;
      if (outstanding > 0 && !settled && !retry) {
        this.#waiting -= publication.count - publication.sent;
        publication.fail(unknownOutcome(publication, error));
      }
      const sentBefore = publication.sent;
      if (outstanding > 0) publication.rewind();
      if (!publication.settled) this.#waiting += sentBefore - publication.sent;
      one = publication.next;
      this.#leave(publication);
    }
    this.#batches = new Queue();
    this.#inFlight = 0;
    this.#inFlightBytes = 0;
    this.#cursor = this.#publications.first;
  }

  /** The end: rejects everything that is still here. */
  failAll(error: () => ThrustError): void {
    let one = this.#publications.first;
    while (one !== undefined) {
      const publication = one;
      const cause = error();
      const begun = publication.retried || publication.acked > 0;
      publication.fail(begun ? unknownOutcome(publication, cause) : cause);
      one = publication.next;
      this.#leave(publication);
    }
    this.#waiting = 0;
  }

  #sent(count: number, bytes: number): void {
    this.#waiting -= count;
    this.#inFlight += count;
    this.#inFlightBytes += bytes;
    this.#batches.push(new SentBatch(bytes, count));
  }

  #answerBatches(count: number): void {
    let left = count;
    while (left > 0) {
      const batch = this.#batches.first!;
      const take = Math.min(left, batch.unanswered);
      left -= take;
      batch.unanswered -= take;
      if (batch.unanswered > 0) return;
      this.#inFlightBytes -= batch.bytes;
      this.#batches.remove(batch);
    }
  }

  /** Lets go of a publication of which nothing more is to come. */
  #leave(publication: Publication): void {
    if (!publication.finished) return;
    if (publication === this.#cursor) this.#cursor = publication.next;
    this.#publications.remove(publication);
  }

  /** How many messages from `head` on fit into one batch, and its size in bytes. */
  #measure(head: Publication): { count: number; bytes: number } {
    const { maxInFlight, maxInFlightBytes, batchMessagesMax, batchBytesMax } = this.#limits;
    const countMax = Math.min(batchMessagesMax, maxInFlight - this.#inFlight);
    const windowBytes = maxInFlightBytes - this.#inFlightBytes;
    const bytesMax = Math.min(batchBytesMax, windowBytes);
    let count = 0;
    let bytes = BATCH_HEADER_BYTES;
    let publication: Publication | undefined = head;
    for (; publication?.encoded === undefined; publication = publication.next) {
      if (publication === undefined) break;
      const { columns, sent } = publication;
      const whole = sent === 0 ? columns.bytes : Number.POSITIVE_INFINITY;
      if (count + publication.count <= countMax && bytes + whole <= bytesMax) {
        count += publication.count;
        bytes += whole;
        continue;
      }
      for (let index = sent; index < publication.count; index++) {
        const next = bytes + messageBytes(columns.bodies[index].length, this.#wire);
        const fits =
          count > 0
            ? count < countMax && next <= bytesMax
            : this.#inFlight === 0 || (countMax > 0 && next <= windowBytes);
        if (!fits) return { count, bytes };
        count += 1;
        bytes = next;
      }
    }
    return { count, bytes };
  }

  #write(head: Publication, count: number, bytes: number): Uint8Array {
    const batch = Buffer.allocUnsafe(bytes);
    const writer = new BatchWriter(batch, count, this.#wire);
    let left = count;
    let publication = head;
    for (;;) {
      const { buckets, bodies } = publication.columns;
      const end = Math.min(publication.count, publication.sent + left);
      for (let index = publication.sent; index < end; index++)
        writer.add(buckets[index], bodies[index]);
      left -= end - publication.sent;
      publication.sent = end;
      if (left === 0) break;
      publication = publication.next!;
    }
    this.#cursor = publication;
    return batch;
  }
}
