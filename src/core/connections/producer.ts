// A producer's connection, from its first byte to its end: what holds it back, when it is late, how
// it ends. Bytes in are inbound.ts, the rules of the dialect batch-reader.ts, bytes out replies.ts.
//
//   socket ──► Inbound ──► BatchReader ──► commit ──durable──► Replies ──► Outbound ──► socket

import type { BreachKind, CloseReason } from '../../contract/close-reasons.ts';
import { Usage } from '../fairness/fair-share.ts';
import type { MemoryHolder } from '../memory/eviction.ts';
import { BYTES_PER_SECOND_MIN } from '../memory/reservations.ts';
import type { Link } from '../ports/link.ts';
import type { Overdue } from '../timing/overdue.ts';
import { Backpressure, MEMORY, ROOM, STOPPED } from './backpressure.ts';
import type { BatchHost, BatchOwner } from './batch-host.ts';
import { BatchReader } from './batch-reader.ts';
import { Inbound, type InboundMemory, type Reader } from './inbound.ts';
import { Outbound } from './outbound.ts';
import { Replies, type ReplyOwner } from './replies.ts';
import type { Session } from './session.ts';

/**
 * What a producer needs of the broker. Calls return before anything else happens, and none throws
 * for what a peer or the disk did.
 */
export interface ProducerHost extends BatchHost {
  /** What it may keep of messages that are not whole. */
  readonly memory: InboundMemory;
  readonly turns: ProducerTurns;
  readonly ends: ProducerEnds;
}

/** When what happens. */
export interface ProducerTurns {
  /** Monotonic time in ms, to be asked for with each input: after a sleep it sets ticks going. */
  nowMs(): number;
  /** The next tick looks at the producer. */
  lookAt(producer: Producer): void;
  /** Asks for a flush after the inputs that wait now. */
  flushSoon(): void;
  /** The producer has replies to send when the current input is done. */
  replyLater(producer: Producer): void;
}

/** How a connection ends. */
export interface ProducerEnds {
  /** Whose time is up, to be closed a few at a time. */
  readonly overdue: Overdue;
  /** The peer went too far: one line for the operator, `text` in it; counted, connection closed at once. */
  breach(link: Link, why: BreachKind, text: string): void;
  /** The connection is gone, and it keeps nothing; once. */
  closed(producer: Producer): void;
}

export class Producer implements Session, Reader, BatchOwner, ReplyOwner, MemoryHolder {
  readonly link: Link;
  readonly #host: ProducerHost;
  readonly #backpressure: Backpressure;
  readonly #inbound: Inbound;
  readonly #outbound: Outbound;
  readonly #replies: Replies;
  readonly #batches: BatchReader;
  readonly usage = new Usage();
  large = false;
  #evicted = false;
  heardMs: number;
  messages = 0;
  bytes = 0;
  /** Who closes it, or what for. */
  closedFor: CloseReason = 'peer';

  constructor(host: ProducerHost, link: Link) {
    this.#host = host;
    this.link = link;
    this.#backpressure = new Backpressure(link);
    this.#inbound = new Inbound(host, this, this.#backpressure);
    this.#outbound = new Outbound(host, link, this.#backpressure);
    this.#replies = new Replies(this.#outbound, this);
    this.#batches = new BatchReader(host, this, this.#inbound, this.#replies);
    this.heardMs = host.turns.nowMs();
  }

  /** Bytes this connection keeps in memory; 0 once it is on its way out because of them. */
  get heldBytes(): number {
    return this.#evicted ? 0 : this.#inbound.heldBytes + this.#outbound.queuedBytes;
  }

  /** Bytes from the peer, split anywhere. */
  receive(chunk: Uint8Array): void {
    this.#heard();
    this.bytes += chunk.length;
    this.#inbound.receive(chunk);
  }

  /** So many bytes came that somebody keeps who will hand them on: a message may be begun. */
  begun(bytes: number): void {
    this.#heard();
    this.#inbound.ahead = bytes;
  }

  #heard(): void {
    this.heardMs = this.#host.turns.nowMs();
    this.#host.turns.lookAt(this);
  }

  /** Takes whole messages from the inbox; gives where the first incomplete one begins. */
  read(start: number, end: number): number {
    return this.#batches.read(start, end);
  }

  /** Waits for room; `roomAgain` is called when there may be some. */
  wait(): void {
    this.#backpressure.hold(ROOM);
    this.#host.fairShare.wait(this);
    this.#host.turns.flushSoon(); // what takes the room may be waiting for this batch to end
  }

  /** There is room in the log again. */
  roomAgain(): void {
    if (!this.#backpressure.has(ROOM)) return;
    this.#backpressure.lift(ROOM);
    if (this.#inbound.ended) return;
    this.#inbound.goOn();
    this.#readOn();
  }

  /** There is memory for the large message. */
  reserved(): void {
    this.#backpressure.lift(MEMORY);
    this.#readOn();
  }

  #readOn(): void {
    this.#host.turns.lookAt(this);
    this.#backpressure.resume();
  }

  /** Whether the broker does not read on: there is no room in the log, or it is closing. */
  get heldBack(): boolean {
    return this.#backpressure.has(ROOM | STOPPED);
  }

  /** Whether it waits for memory, and is not read until there is some. */
  get unreserved(): boolean {
    return this.#backpressure.has(MEMORY);
  }

  /** It sends its large message too slowly, while others wait for memory. */
  tooSlow(): void {
    this.evict(
      `of a message of ${this.#inbound.asked} bytes it sent fewer than ${BYTES_PER_SECOND_MIN} in a second, while others waited for memory to send theirs (--buffer)`,
    );
  }

  /** It said that nothing more comes: it ends when all is answered. */
  goodbye(): void {
    this.#inbound.end();
    if (this.#replies.owed === 0) this.sendReplies();
  }

  /** Something was released: sent when the current input is done. */
  replyLater(): void {
    this.#host.turns.replyLater(this);
  }

  /** Sends the replies that were released. */
  sendReplies(): void {
    this.#replies.flush();
    if (this.#inbound.ended && this.#replies.owed === 0) this.link.end();
  }

  /** Since when the peer has not taken all its replies, or -1. */
  get stuckSinceMs(): number {
    return this.#evicted ? -1 : this.#outbound.stuckSinceMs;
  }

  /** The system has taken everything that was queued for the peer. */
  drained(): void {
    if (this.#outbound.drained()) this.#readOn();
  }

  /** The broker is closing: nothing more is read, also when there is room again. */
  stop(): void {
    this.#backpressure.hold(STOPPED);
  }

  /** The peer will send nothing more, as after a goodbye: it still gets the replies it is owed. */
  finished(): void {
    this.#end();
    if (this.#replies.owed === 0) this.sendReplies();
  }

  // Nothing more is read, and the message that is not complete is forgotten.
  #end(): void {
    this.#inbound.end();
    this.#inbound.drop();
  }

  /** The connection is gone: a partial message leaves nothing behind. */
  gone(): void {
    this.#end();
    this.#outbound.gone();
    this.#host.ends.closed(this);
  }

  /** When a message that was begun must have ended; Infinity while its time stands still. */
  get partialDueMs(): number | undefined {
    return this.#inbound.dueMs;
  }

  /** Time passes: a message that was begun must end. */
  advance(nowMs: number): void {
    if (!this.#inbound.advance(nowMs)) return;
    const { deadline } = this.#inbound;
    const { sinceMs } = deadline;
    this.#host.ends.overdue.add(this, deadline.dueMs, () => {
      if (deadline.sinceMs === sinceMs) this.breach('timeout', deadline.text);
    });
  }

  /** Closes the connection, because its memory is needed. */
  evict(text: string): void {
    this.#evicted = true;
    this.breach('memory', text);
  }

  /** The peer went too far: closed at once. */
  breach(why: BreachKind, text: string): void {
    this.closedFor = why;
    this.#end();
    this.#host.ends.breach(this.link, why, text);
  }
}
