// A consumer's connection: header in, batches out, one ack byte for each message in.
//
//   header ----> waiting ----batch----> unacked ----last ack----> waiting
//                   |                      |  another byte: ready again, maybe later (verdict.ts)
//                   |                      |  0xFF: it is working, which answers nothing
//                   |                      +--silence of a lease--> closed
//                   +--silence--> heartbeat --ack--> waiting
//   closed in any state: everything unacked is ready again, at its old place

import { WIRE_U32 } from '../../../assembly/layout.ts';
import { CAUSE_LEASE_OVER, CAUSE_LINK_LOST } from '../../../assembly/layout-placed.ts';
import { type BreachKind, type CloseReason, isItsDoing } from '../../contract/close-reasons.ts';
import { InFlight } from '../delivery/in-flight.ts';
import type { Newcomer } from '../delivery/presence.ts';
import { acksIn } from '../delivery/verdict.ts';
import type { Link } from '../ports/link.ts';
import type { Timed } from '../timing/deadlines.ts';
import { type ConsumerState, endsMs, heartbeatOf, lookMs } from './consumer-deadlines.ts';
import { ConsumerHeaderReader, wrongIn } from './consumer-header.ts';
import type { ConsumerHost } from './consumer-host.ts';
import { ConsumerOutput } from './consumer-output.ts';
import { Lease } from './lease.ts';

export class Consumer implements Newcomer {
  readonly link: Link;
  readonly openedMs: number;
  readonly #host: ConsumerHost<Consumer>;
  readonly #frameBytesMax: number;
  /** What it holds. */
  readonly inFlight = new InFlight(this);
  readonly #lease = new Lease();
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
    return this.inFlight.count;
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
    const wrong = wrongIn(header, limits.batchMessagesMax);
    if (wrong !== undefined) {
      this.#breach('protocol', wrong);
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
    const { frames, metrics, subscriptions, time } = this.#host;
    const held = this.inFlight;
    const { slot, batchSize, link } = this;
    const wanted = Math.min(batchSize, most);
    const bytes = frames.pack(slot, wanted, link.wire, this.#frameBytesMax, held);
    if (bytes === 0) return false;
    this.messages += held.count;
    this.bytes += bytes;
    this.#state = 'unacked';
    const { latency } = metrics;
    const { sequence, attempts, level } = held.first;
    this.#deliveredMs = attempts + level === 0 ? latency.delivered(sequence) : latency.clockMs();
    this.#sentMs = time.now();
    const leaseMs = subscriptions.leaseMs(slot);
    this.#lease.begin(leaseMs, leaseMs > 0 ? time.exact() : 0);
    if (leaseMs > 0) this.#watch();
    this.#output.sendFrame(held.count, bytes);
    this.drained();
    return true;
  }

  #acks(bytes: Uint8Array): void {
    const held = this.inFlight;
    // Only where there are more of them it matters how many of the bytes are acks.
    if (bytes.length > held.count && !this.#isAnswer(acksIn(bytes))) return;
    if (this.#lease.ms > 0) this.#lease.renew(this.#host.time.exact());
    held.answer(bytes, this.#host.settlement);
    if (held.count > 0) {
      this.#host.subscriptions.dispatch(this.slot); // what failed is ready for the others
      return;
    }
    this.#host.metrics.latency.acked(this.#deliveredMs);
    this.#sentMs = this.heardMs;
    this.#wait();
  }

  // Whether so many acks are for the messages that it holds. That it works answers no heartbeat,
  // either: who says so by a timer may not read any more.
  #isAnswer(count: number): boolean {
    const held = this.inFlight.count;
    const isBeat = this.#state === 'heartbeat';
    const more = count - (isBeat ? 1 : held);
    if (more > 0) this.#breach('protocol', `${more} more messages were acked than delivered`);
    else if (isBeat && count > 0) this.#wait();
    return held > 0 && more <= 0;
  }

  /** The system has taken everything, or part of, what was queued for the peer. */
  drained(): void {
    if (this.#output.drained() && this.#state === 'waiting') this.#wait();
  }

  // Has itself looked at when its state may have lasted too long.
  #watch(): void {
    if (this.#state === 'waiting' && this.#output.queuedBytes > 0) return;
    const dueMs = lookMs(this.#state, this.endsMs);
    if (dueMs < Number.POSITIVE_INFINITY) this.#host.time.lookAt(this, dueMs);
  }

  /** Until when its state may last: `unacked` by its lease. */
  get endsMs(): number {
    const { limits, subscriptions } = this.#host;
    if (this.#state !== 'unacked') return endsMs(this.#state, this.#sentMs, limits);
    return this.#lease.endsMs(subscriptions.leaseMs(this.slot));
  }

  /** Due: a header is missing, silence is to be broken, a peer dead, a lease over; or not yet. */
  advance(nowMs: number): void {
    const dueMs = this.endsMs;
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
    this.#host.time.overdue.add(this, dueMs, () => {
      const isStillSo = this.#state === state && this.endsMs <= dueMs;
      if (isStillSo && !this.link.destroyed) this.#expire();
    });
  }

  #expire(): void {
    const { limits, ends } = this.#host;
    if (this.#state === 'header') {
      this.#breach('timeout', `no complete header within ${limits.consumerHeaderMs} ms`);
      return;
    }
    if (this.#state === 'unacked') {
      this.#leaseOver();
      return;
    }
    ends.dead(this, `did not ack a heartbeat for ${limits.heartbeatAckMs} ms`);
    this.link.destroy();
  }

  // What it holds is given back first, so that no byte of it settles what others may have by then;
  // nobody has it before the link is closed.
  #leaseOver(): void {
    this.#host.ends.leaseOver(this, this.unacked, this.#lease.ms);
    this.#giveBack('lease', CAUSE_LEASE_OVER);
    this.#host.subscriptions.dispatch(this.slot);
  }

  /** Nothing may be delivered for now: closed, and what it held is ready again, uncharged. */
  suspend(): void {
    if (!this.link.destroyed) this.#giveBack('suspended', 0);
  }

  #giveBack(reason: CloseReason, cause: number): void {
    this.closedFor = reason;
    this.#state = 'closed';
    this.inFlight.lose(this.#host.settlement, cause);
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
      this.inFlight.lose(settlement, isItsDoing(this.closedFor) ? CAUSE_LINK_LOST : 0);
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
