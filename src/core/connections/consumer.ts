// A consumer's connection: header in, batches out, one ack byte for each message in.
//
//   header ----> waiting ----batch----> unacked ----last ack----> waiting
//                   |                      |  a byte other than 1: that message is ready again
//                   +--silence--> heartbeat --ack--> waiting
//   closed in any state: everything unacked is ready again, at its old place

import { WIRE_U32 } from '../../../assembly/layout.ts';
import type { BreachKind, CloseReason } from '../../contract/close-reasons.ts';
import type { Slice } from '../buckets/slice.ts';
import { InFlight } from '../delivery/in-flight.ts';
import type { Newcomer } from '../delivery/presence.ts';
import type { Position } from '../ports/basics.ts';
import type { Link } from '../ports/link.ts';
import type { Timed } from '../timing/deadlines.ts';
import { type ConsumerState, endsMs, heartbeatOf, lookMs } from './consumer-deadlines.ts';
import { ConsumerHeaderReader } from './consumer-header.ts';
import type { ConsumerHost } from './consumer-host.ts';
import { ConsumerOutput } from './consumer-output.ts';

export class Consumer implements Newcomer {
  readonly link: Link;
  readonly openedMs: number;
  readonly #host: ConsumerHost<Consumer>;
  readonly #frameBytesMax: number;
  readonly #inFlight = new InFlight(this);
  readonly #output: ConsumerOutput;
  #state: ConsumerState = 'header';
  #header: ConsumerHeaderReader | undefined = new ConsumerHeaderReader();
  #arriving = false; // whether it is still there is not known yet
  #evicted = false;
  #sentMs: number; // when something was last sent to it, or it became free to be sent something
  #deliveredMs = 0; // by the clock of latencies
  /** Consumers send nothing large. */
  readonly unreserved = false;
  heardMs: number;
  /** For deadlines.ts. */
  readonly timed: Timed = { slot: -1 };
  slot = 0;
  consumerId = '';
  batchSize = 0;
  messages = 0;
  bytes = 0;
  /** Who closes it, or what for. */
  closedFor: CloseReason = 'peer';

  constructor(host: ConsumerHost<Consumer>, link: Link) {
    this.#host = host;
    this.link = link;
    this.#output = new ConsumerOutput(link, host);
    this.openedMs = host.time.now();
    this.heardMs = this.openedMs;
    this.#sentMs = this.openedMs;
    const { deliveryBytesMax, deliveryBytesMaxU32 } = host.limits;
    this.#frameBytesMax = link.wire === WIRE_U32 ? deliveryBytesMaxU32 : deliveryBytesMax;
    this.#watch();
  }

  get state(): ConsumerState {
    return this.#state;
  }

  /** Messages that it holds: delivered and not answered. */
  get unacked(): number {
    return this.#inFlight.count;
  }

  get heldBytes(): number {
    return this.#evicted ? 0 : this.#output.queuedBytes;
  }

  /** Since when the peer has not taken what was sent to it, or -1. */
  get stuckSinceMs(): number {
    return this.#output.queuedBytes > 0 && !this.#evicted ? this.#sentMs : -1;
  }

  /** Bytes from the peer, split anywhere. */
  receive(chunk: Uint8Array): void {
    this.heardMs = this.#host.time.now();
    let bytes = chunk;
    if (this.#state === 'header' && this.#header !== undefined) {
      bytes = bytes.subarray(this.#header.take(bytes));
      if (!this.#enter(this.#header)) return;
    }
    if (bytes.length === 0 || this.#state === 'closed') return;
    this.begin(); // who goes on talking is there
    this.#acks(bytes);
  }

  // Joins the bucket that a complete header asks for.
  #enter({ header }: ConsumerHeaderReader): boolean {
    if (header === undefined) return false;
    const { limits, subscriptions } = this.#host;
    const { consumerId, batchSize, bucketLow, bucketHigh } = header;
    if (batchSize === 0 || batchSize > limits.batchMessagesMax) {
      this.#breach(
        'protocol',
        `its header asks for batches of ${batchSize} messages; 1 to ${limits.batchMessagesMax} is possible: this is another protocol, or the batch size must be changed`,
      );
      return false;
    }
    this.#header = undefined;
    this.consumerId = consumerId;
    this.batchSize = batchSize;
    this.#sentMs = this.heardMs;
    this.#state = 'waiting';
    this.#arriving = true;
    this.slot = subscriptions.join(this, bucketLow, bucketHigh);
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
    if (this.#output.queuedBytes > 0) {
      this.#host.subscriptions.dispatch(this.slot); // what it held may have been all that may be
      return; // goes on in `drained`
    }
    this.#host.subscriptions.want(this);
    if (this.#state === 'waiting') this.#watch();
  }

  /**
   * Sends the next batch of the bucket: as much as is in memory, within batch size and frame size,
   * and of `most` messages at most. False if nothing could be sent, because the first message is
   * still on disk.
   */
  deliver(most: number): boolean {
    const { frames, metrics, time } = this.#host;
    const held = this.#inFlight;
    const { slot, batchSize, link } = this;
    const wanted = Math.min(batchSize, most);
    const bytes = frames.pack(slot, wanted, link.wire, this.#frameBytesMax, held);
    if (bytes === 0) return false;
    this.messages += held.count;
    this.bytes += bytes;
    this.#state = 'unacked';
    const { latency } = metrics;
    const { sequence, attempts } = held.first;
    this.#deliveredMs = attempts === 0 ? latency.delivered(sequence) : latency.clockMs();
    this.#sentMs = time.now();
    this.#output.sendFrame(held.count, bytes);
    this.drained();
    return true;
  }

  #acks(bytes: Uint8Array): void {
    if (this.#state === 'heartbeat') {
      this.#state = 'waiting';
      if (bytes.length > 1) this.#surplus(bytes.length - 1);
      else this.#wait();
      return;
    }
    const held = this.#inFlight;
    if (bytes.length > held.count) {
      this.#surplus(bytes.length - held.count);
      return;
    }
    held.answer(bytes, this.#host.settlement);
    if (held.count > 0) {
      this.#host.subscriptions.dispatch(this.slot); // what failed is ready for the others
      return;
    }
    this.#host.metrics.latency.acked(this.#deliveredMs);
    this.#sentMs = this.heardMs;
    this.#wait();
  }

  #surplus(count: number): void {
    this.#breach('protocol', `${count} more messages were acked than delivered`);
  }

  /** Records of the segments from `base` to before `end` stand elsewhere now. */
  moved(base: Position, end: Position, where: (part: Slice) => void): void {
    this.#inFlight.moved(base, end, where);
  }

  /** The system has taken everything, or part of, what was queued for the peer. */
  drained(): void {
    if (this.#output.drained() && this.#state === 'waiting') this.#wait();
  }

  // Has itself looked at when its state may have lasted too long.
  #watch(): void {
    const { time, limits } = this.#host;
    if (this.#state === 'waiting' && this.#output.queuedBytes > 0) return;
    const dueMs = lookMs(this.#state, this.#sentMs, limits);
    if (dueMs < Number.POSITIVE_INFINITY) time.lookAt(this, dueMs);
  }

  /** It was due: a header is missing, silence is to be broken, a peer is dead; or not yet. */
  advance(nowMs: number): void {
    const dueMs = endsMs(this.#state, this.#sentMs, this.#host.limits);
    if (this.#state !== 'waiting') {
      if (nowMs > dueMs) this.#overdue(dueMs);
    } else if (nowMs >= dueMs && this.#output.queuedBytes === 0) this.#beat();
    this.#watch();
  }

  // Breaks the silence: it has to be acked like a message.
  #beat(): void {
    const { subscriptions, metrics, time } = this.#host;
    subscriptions.unwant(this);
    this.#state = 'heartbeat';
    metrics.counters.heartbeats++;
    this.#sentMs = time.now();
    this.#output.send(heartbeatOf(this.link.wire));
    this.drained();
  }

  // Closed when it is its turn, unless it was heard by then.
  #overdue(dueMs: number): void {
    if (this.link.destroyed) return;
    const state = this.#state;
    const sentMs = this.#sentMs;
    this.#host.time.overdue.add(this, dueMs, () => {
      const isStillSo = this.#state === state && this.#sentMs === sentMs;
      if (isStillSo && !this.link.destroyed) this.#expire();
    });
  }

  #expire(): void {
    const { limits, ends } = this.#host;
    if (this.#state === 'header') {
      this.#breach('timeout', `no complete header within ${limits.consumerHeaderMs} ms`);
      return;
    }
    ends.dead(this, `did not ack a heartbeat for ${limits.heartbeatAckMs} ms`);
    this.link.destroy();
  }

  /** The peer will send nothing more, so no ack either. */
  finished(): void {
    this.link.destroy();
  }

  /** The connection is gone: what it had not acked is ready again at once. */
  gone(): void {
    const { settlement, subscriptions, ends } = this.#host;
    this.#state = 'closed';
    this.#output.end();
    if (this.slot !== 0) {
      this.#inFlight.lose(settlement);
      subscriptions.leave(this);
    }
    ends.closed(this);
  }

  /** Closes the connection, because its memory is needed. */
  evict(text: string): void {
    this.#evicted = true;
    this.#breach('memory', text);
  }

  #breach(why: BreachKind, text: string): void {
    this.closedFor = why;
    this.#host.subscriptions.unwant(this);
    this.#host.ends.breach(this, why, text);
  }
}
