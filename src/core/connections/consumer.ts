// A consumer's connection: header in, batches out, one ack byte for each message in.
//
//   header ----> waiting ----batch----> unacked ----last ack----> waiting
//                   |                      |  a byte other than 1: that message is ready again
//                   +--silence--> heartbeat --ack--> waiting
//   closed in any state: everything unacked is ready again, at its old place

import {
  ACK_DONE,
  BATCH_HEADER_BYTES,
  CONSUMER_BATCH_AT,
  CONSUMER_BUCKET_AT,
  CONSUMER_HEADER_BYTES,
  CONSUMER_ID_AT,
  RECORD_HEADER_BYTES,
  RESULT_BYTES_OUT,
  RESULT_PAYLOAD,
  WIRE_U32,
  WIRE_U64,
} from '../../../assembly/layout.ts';
import type { CloseReason } from '../../contract/close-reasons.ts';
import { assert } from '../assert.ts';
import type { Part } from '../buckets/slice.ts';
import type { Newcomer } from '../delivery/presence.ts';
import type { Link } from '../ports/link.ts';
import type { Timed } from '../timing/deadlines.ts';
import type { BreachKind, Context } from './context.ts';

// Runs of messages in one batch, so that a large batch of scattered messages stays small in memory.
const PARTS_MAX = 4096;
// Heartbeats of so long leave together, so that the process is woken once for all of them.
const TOGETHER_MS = 100;
// A batch of one message of no bytes, for all consumers of a dialect: nobody changes it.
const HEARTBEAT_U32 = Uint8Array.of(1, ...new Uint8Array(BATCH_HEADER_BYTES + WIRE_U32 - 1));
const HEARTBEAT_U64 = Uint8Array.of(1, ...new Uint8Array(BATCH_HEADER_BYTES + WIRE_U64 - 1));

type State = 'header' | 'waiting' | 'unacked' | 'heartbeat' | 'closed';

export class Consumer implements Newcomer {
  readonly link: Link;
  readonly openedMs: number;
  readonly #context: Context;
  readonly #frameBytesMax: number;
  #state: State = 'header';
  #arriving = false; // whether it is still there is not known yet
  #header: Uint8Array = new Uint8Array(0);
  #parts: Part[] = [];
  #partAt = 0; // part that the next ack byte is for
  #doneInPart = 0; // messages of that part that were acked or failed
  #frame: Uint8Array | undefined; // memory of the frame that the system has not taken yet
  #queuedBytes = 0;
  #evicted = false;
  #sentMs: number;
  #deliveredMs = 0; // by the clock of latencies
  /** Consumers send nothing large. */
  readonly unreserved = false;
  heardMs: number;
  /** For deadlines.ts. */
  readonly timed: Timed = { slot: -1 };
  slot = 0;
  consumerId = '';
  batchSize = 0;
  unacked = 0;
  messages = 0;
  bytes = 0;
  /** Who closes it, or what for. */
  closedFor: CloseReason = 'peer';

  constructor(context: Context, link: Link) {
    this.#context = context;
    this.link = link;
    this.openedMs = context.nowMs();
    this.heardMs = this.openedMs;
    this.#sentMs = this.openedMs;
    const { deliveryBytesMax, deliveryBytesMaxU32 } = context.limits;
    this.#frameBytesMax = link.wire === WIRE_U32 ? deliveryBytesMaxU32 : deliveryBytesMax;
    context.deadlines.set(this, this.#dueMs);
  }

  get state(): State {
    return this.#state;
  }

  get heldBytes(): number {
    return this.#evicted ? 0 : this.#queuedBytes;
  }

  /** Since when the peer has not taken what was sent to it, or -1. */
  get stuckSinceMs(): number {
    return this.#queuedBytes > 0 && !this.#evicted ? this.#sentMs : -1;
  }

  /** Bytes from the peer, split anywhere. */
  receive(chunk: Uint8Array): void {
    this.heardMs = this.#context.nowMs();
    let bytes = chunk;
    if (this.#state === 'header') {
      const missing = CONSUMER_HEADER_BYTES - this.#header.length;
      this.#header = concat(this.#header, bytes.subarray(0, missing));
      if (this.#header.length < CONSUMER_HEADER_BYTES || !this.#enter()) return;
      bytes = bytes.subarray(missing);
    }
    if (bytes.length === 0 || this.#state === 'closed') return;
    this.begin(); // who goes on talking is there
    this.#acks(bytes);
  }

  // Reads the header and joins the bucket.
  #enter(): boolean {
    const view = new DataView(this.#header.buffer, this.#header.byteOffset);
    const { limits, buckets } = this.#context;
    const batchSize = view.getUint32(CONSUMER_BATCH_AT, true);
    if (batchSize === 0 || batchSize > limits.batchMessagesMax) {
      this.#breach(
        'protocol',
        `its header asks for batches of ${batchSize} messages; 1 to ${limits.batchMessagesMax} is possible: this is another protocol, or the batch size must be changed`,
      );
      return false;
    }
    this.consumerId = view.getBigUint64(CONSUMER_ID_AT, true).toString();
    this.batchSize = batchSize;
    this.slot = buckets.open(
      view.getUint32(CONSUMER_BUCKET_AT, true),
      view.getUint32(CONSUMER_BUCKET_AT + 4, true),
    );
    buckets.openShare(this.slot).consumers++;
    this.#header = new Uint8Array(0);
    this.#sentMs = this.heardMs;
    this.#state = 'waiting';
    this.#arriving = true;
    this.#context.presence.arrives(this);
    return true;
  }

  /** It is still there after all that came with its header was read: it may be served. */
  begin(): void {
    const waits = this.#arriving && this.#state === 'waiting' && !this.link.destroyed;
    this.#arriving = false;
    if (waits) this.#wait();
  }

  // Ready for the next batch, once the peer has taken the last one whole: who acks without reading
  // is not sent more and more.
  #wait(): void {
    this.#state = 'waiting';
    if (this.#queuedBytes > 0) return; // goes on in `drained`
    const share = this.#context.buckets.share(this.slot)!;
    share.waiting.add(this);
    this.#context.dispatch(this.slot);
    if (this.#state === 'waiting') this.#context.deadlines.set(this, this.#dueMs);
  }

  /**
   * Sends the next batch of the bucket: as much as is in memory, within batch size and frame size.
   * False if nothing could be sent, because the first message is still on disk.
   */
  deliver(): boolean {
    const { buckets, codec, counters } = this.#context;
    let bytes = BATCH_HEADER_BYTES;
    let count = 0;
    while (count < this.batchSize && this.#parts.length < PARTS_MAX) {
      const part = buckets.peek(this.slot);
      if (part === undefined) break;
      const { position, sequence, first, bodyBytes, attempts } = part;
      const place = this.#context.fetch(this.slot, position, RECORD_HEADER_BYTES + bodyBytes);
      if (place < 0) break;
      const wanted = Math.min(part.count, this.batchSize - count);
      const packed = codec.deliver(
        place + RECORD_HEADER_BYTES,
        bodyBytes,
        first,
        wanted,
        this.link.wire,
        bytes,
        this.#frameBytesMax,
      );
      if (packed === 0) break;
      bytes = codec.result[RESULT_BYTES_OUT]!;
      counters.deliveredBytes += codec.result[RESULT_PAYLOAD]!;
      if (attempts > 0) counters.redeliveredMessages += packed;
      this.#parts.push({ position, sequence, first, count: packed, bodyBytes, attempts });
      buckets.take(this.slot, part, packed);
      count += packed;
      if (packed < wanted) break;
    }
    if (count === 0) return false;
    counters.deliveredMessages += count;
    counters.deliveries++;
    this.messages += count;
    this.bytes += bytes;
    this.unacked = count;
    this.#state = 'unacked';
    const { latency } = this.#context;
    const { sequence, attempts } = this.#parts[0]!;
    this.#deliveredMs = attempts === 0 ? latency.delivered(sequence) : latency.clockMs();
    this.#frame = this.#context.frames.take(bytes);
    this.#send(codec.takeFrame(count, bytes, this.#frame));
    return true;
  }

  #acks(bytes: Uint8Array): void {
    if (this.#state === 'heartbeat') {
      this.#state = 'waiting';
      if (bytes.length > 1) this.#surplus(bytes.length - 1);
      else this.#wait();
      return;
    }
    if (bytes.length > this.unacked) {
      this.#surplus(bytes.length - this.unacked);
      return;
    }
    let at = 0;
    while (at < bytes.length) {
      const part = this.#parts[this.#partAt]!;
      const most = Math.min(bytes.length, at + part.count - this.#doneInPart);
      let end = at;
      const done = bytes[at] === ACK_DONE;
      while (end < most && (bytes[end] === ACK_DONE) === done) end++;
      if (done) this.#settle(part, end - at);
      else {
        this.#fail(part, end - at);
        this.#context.counters.failedMessages += end - at;
      }
      at = end;
      if (this.#doneInPart === part.count) {
        this.#partAt++;
        this.#doneInPart = 0;
      }
    }
    if (this.unacked > 0) {
      this.#context.dispatch(this.slot); // what failed is ready for the others
      return;
    }
    this.#parts.length = 0;
    this.#partAt = 0;
    this.#context.latency.acked(this.#deliveredMs);
    this.#sentMs = this.heardMs;
    this.#wait();
  }

  #surplus(count: number): void {
    this.#breach('protocol', `${count} more messages were acked than delivered`);
  }

  #settle(part: Part, count: number): void {
    const { buckets, commit, counters, retention } = this.#context;
    const sequence = part.sequence + this.#doneInPart;
    commit.settle(sequence, count);
    retention.settle(part.position, count);
    buckets.settle(this.slot, sequence, count);
    counters.ackedMessages += count;
    this.unacked -= count;
    this.#doneInPart += count;
  }

  // The next `count` messages of the part are ready again, at their old place.
  #fail(part: Part, count: number): void {
    const { buckets, commit } = this.#context;
    const sequence = part.sequence + this.#doneInPart;
    const attempts = part.attempts + 1;
    const first = part.first + this.#doneInPart;
    buckets.giveBack(this.slot, { ...part, sequence, first, count, attempts });
    commit.comeBack(sequence, count, attempts);
    this.unacked -= count;
    this.#doneInPart += count;
  }

  /** Records of the segments from `base` to before `end` stand elsewhere now. */
  moved(base: number, end: number, where: (part: Part) => void): void {
    for (let at = this.#partAt; at < this.#parts.length; at++) {
      const part = this.#parts[at]!;
      if (part.position < base || part.position >= end) continue;
      // What is done of it may not be in the log any more.
      if (at === this.#partAt && this.#doneInPart > 0) {
        part.sequence += this.#doneInPart;
        part.first += this.#doneInPart;
        part.count -= this.#doneInPart;
        this.#doneInPart = 0;
      }
      where(part);
    }
  }

  #send(bytes: Uint8Array): void {
    this.#sentMs = this.#context.nowMs();
    this.link.send(bytes);
    this.drained();
  }

  /** The system has taken everything, or part of, what was queued for the peer. */
  drained(): void {
    const queued = this.link.queuedBytes;
    this.#context.budget.bytes += queued - this.#queuedBytes;
    const wasQueued = this.#queuedBytes > 0;
    this.#queuedBytes = queued;
    if (queued > 0) return;
    this.#releaseFrame();
    if (wasQueued && this.#state === 'waiting') this.#wait();
  }

  #releaseFrame(): void {
    if (this.#frame !== undefined) this.#context.frames.give(this.#frame);
    this.#frame = undefined;
  }

  // When silence of the peer, or ours, has lasted long enough; what is unacked may be so for ever.
  get #dueMs(): number {
    const { consumerHeaderMs, heartbeatMs, heartbeatAckMs } = this.#context.limits;
    if (this.#state === 'header') return this.openedMs + consumerHeaderMs + 1;
    if (this.#state === 'heartbeat') return this.#sentMs + heartbeatAckMs + 1;
    if (this.#state !== 'waiting' || this.#queuedBytes > 0) return Number.POSITIVE_INFINITY;
    return Math.ceil((this.#sentMs + heartbeatMs) / TOGETHER_MS) * TOGETHER_MS;
  }

  /** It was due: a header is missing, silence is to be broken, a peer is dead; or not yet. */
  advance(nowMs: number): void {
    this.#judge(nowMs);
    const dueMs = this.#dueMs;
    if (dueMs < Number.POSITIVE_INFINITY) this.#context.deadlines.set(this, dueMs);
  }

  #judge(nowMs: number): void {
    const { limits, counters } = this.#context;
    if (this.#state === 'header') {
      const dueMs = this.openedMs + limits.consumerHeaderMs;
      if (nowMs > dueMs) this.#overdue(dueMs, 'header');
    } else if (this.#state === 'waiting') {
      if (nowMs - this.#sentMs < limits.heartbeatMs || this.#queuedBytes > 0) return;
      this.#context.buckets.share(this.slot)!.waiting.delete(this);
      this.#state = 'heartbeat';
      counters.heartbeats++;
      this.#send(this.link.wire === WIRE_U32 ? HEARTBEAT_U32 : HEARTBEAT_U64);
    } else if (this.#state === 'heartbeat' && nowMs - this.#sentMs > limits.heartbeatAckMs)
      this.#overdue(this.#sentMs + limits.heartbeatAckMs, 'heartbeat');
  }

  // Closed when it is its turn, unless it was heard by then.
  #overdue(dueMs: number, state: 'header' | 'heartbeat'): void {
    if (this.link.destroyed) return;
    const sentMs = this.#sentMs;
    this.#context.overdue.add(this, dueMs, () => {
      const isStillSo = this.#state === state && this.#sentMs === sentMs;
      if (isStillSo && !this.link.destroyed) this.#expire();
    });
  }

  #expire(): void {
    const { limits, notices } = this.#context;
    if (this.#state === 'header') {
      this.#breach('timeout', `no complete header within ${limits.consumerHeaderMs} ms`);
      return;
    }
    const { peer } = this.link;
    const text = `consumer ${peer} did not ack a heartbeat for ${limits.heartbeatAckMs} ms: closed`;
    notices.notice('info', 'consumer.dead', text, { peer });
    this.link.destroy();
  }

  /** The peer will send nothing more, so no ack either. */
  finished(): void {
    this.link.destroy();
  }

  /** The connection is gone: what it had not acked is ready again at once. */
  gone(): void {
    const before = this.#state;
    this.#state = 'closed';
    const { budget, buckets } = this.#context;
    budget.bytes -= this.#queuedBytes;
    this.#queuedBytes = 0;
    this.#releaseFrame();
    if (before !== 'header' && this.slot !== 0) {
      for (; this.unacked > 0; this.#partAt++, this.#doneInPart = 0) {
        const part = this.#parts[this.#partAt]!;
        const rest = part.count - this.#doneInPart;
        if (rest > 0) this.#fail(part, rest);
      }
      const share = buckets.share(this.slot);
      assert(share !== undefined, 'a consumer left a bucket that nobody shares');
      share.waiting.delete(this);
      share.consumers--;
      this.#parts = [];
      this.#context.dispatch(this.slot);
      buckets.tidy(this.slot);
    }
    this.#context.closed(this);
  }

  /** Closes the connection, because its memory is needed. */
  evict(text: string): void {
    this.#evicted = true;
    this.#breach('memory', text);
  }

  #breach(why: BreachKind, text: string): void {
    this.closedFor = why;
    this.#context.buckets.share(this.slot)?.waiting.delete(this);
    this.#context.breach(this.link, 'exhaust', why, text);
  }
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}
