// A producer's connection: batches in, one ack byte for each message out. Holds the bytes of a
// message that is not complete yet, nothing else; complete messages are packed at once.
//
//            u32 count            message ... message            count reached
//   header ------------> body ---------------------------> owed ---------------> header
//     | 0                 | Length over the ceiling
//     v                   v
//   goodbye: end when   breach: closed
//   all is answered

import {
  ACK_REFUSED,
  ACK_STORED,
  BATCH_HEADER_BYTES,
  BATCH_MESSAGES_MAX,
  INTAKE_DONE,
  INTAKE_EMPTY,
  INTAKE_FOREIGN,
  INTAKE_FULL,
  INTAKE_LARGE,
  INTAKE_MORE,
  INTAKE_ROWS,
  MESSAGE_BYTES_CEILING,
  RESULT_CONSUMED,
  RESULT_LENGTH,
  RESULT_MESSAGES,
  RESULT_PAYLOAD,
  RESULT_ROWS,
} from '../../../assembly/layout.ts';
import type { CloseReason } from '../../contract/close-reasons.ts';
import { assert, BugError } from '../assert.ts';
import type { Replyable } from '../commit/batch.ts';
import { PORTION_BYTES } from '../commit/cost.ts';
import { PORTION_MESSAGES, Spending, type Waiting } from '../fairness/fair-share.ts';
import { Carry, memoryFor } from '../memory/partial-input.ts';
import { BYTES_PER_SECOND_MIN, LARGE_BYTES, type Sender } from '../memory/reservations.ts';
import type { Link } from '../ports/link.ts';
import type { BreachKind, Context } from './context.ts';
import { PartialDeadline } from './partial-deadline.ts';

const ONES = new Uint8Array(BATCH_MESSAGES_MAX).fill(ACK_STORED);
// Replies of a batch with refusals, when the first is noted.
const REFUSALS_MIN = 64;

export class Producer implements Replyable, Waiting, Sender {
  readonly link: Link;
  readonly #context: Context;
  #left = 0; // messages of the current batch still to come
  #count = 0; // messages of the current batch
  #refusals: Uint8Array | undefined; // replies of the current batch, once one is a refusal
  #stored = false; // whether a message of the current batch was packed
  #refusing = false; // the disk is full: the rest of this batch is refused
  #skip = 0; // bytes of an oversized message still to be dropped
  readonly #carry: Carry; // bytes of an incomplete message or header
  #need = 0; // bytes that must be there before it is worth looking again
  readonly #partial: PartialDeadline;
  readonly spending = new Spending();
  large = false;
  #asked = 0; // bytes of memory for a large message
  #unreserved = false; // and it waits for them
  #blocked = false;
  #paused = false;
  #evicted = false;
  #ended = false; // goodbye was said; or the connection is gone
  #stopped = false; // the broker is closing: what is here is answered, nothing more is read
  #gone = false;
  #owed = 0; // wire batches not answered yet
  #ones = 0; // stored messages whose acks are released but not sent yet
  #replyQueued = false;
  #queuedBytes = 0;
  #queuedSinceMs = -1;
  heardMs: number;
  messages = 0;
  bytes = 0;
  /** Who closes it, or what for. */
  closedFor: CloseReason = 'peer';

  constructor(context: Context, link: Link) {
    this.#context = context;
    this.#carry = new Carry(context.budget, context.blocks);
    this.#partial = new PartialDeadline(context.limits.partialMessageMs);
    this.link = link;
    this.heardMs = context.nowMs();
  }

  /** Bytes this connection keeps in memory; 0 once it is on its way out because of them. */
  get heldBytes(): number {
    return this.#evicted ? 0 : this.#carry.heldBytes + this.#queuedBytes;
  }

  /** Bytes from the peer, split anywhere. The chunk is not kept unless it is incomplete. */
  receive(chunk: Uint8Array): void {
    this.heardMs = this.#context.nowMs();
    this.#context.lookAt(this);
    this.bytes += chunk.length;
    if (this.#ended) return;
    if (this.#skip > 0 && !this.#blocked) {
      const skipped = Math.min(this.#skip, chunk.length);
      this.#skip -= skipped;
      if (skipped === chunk.length) return;
      chunk = chunk.subarray(skipped);
    }
    if (this.#blocked || this.#carry.bytes + chunk.length < this.#need) this.#keep(chunk);
    else this.#process(chunk);
    this.#reserve();
  }

  // Puts what was carried over and the chunk next to each other in the inbox, and takes what is
  // whole. A socket that reads into the inbox has left room before its bytes: then nothing moves.
  #process(chunk: Uint8Array): void {
    const { inbox } = this.#context.codec;
    const inPlace = chunk.buffer === inbox.buffer;
    const carried = this.#carry.bytes;
    const start = inPlace ? chunk.byteOffset - inbox.byteOffset - carried : 0;
    const end = start + carried + chunk.length;
    assert(start >= 0 && end <= inbox.length, 'a connection holds more than the inbox');
    if (!inPlace) inbox.set(chunk, start + carried);
    this.#carry.moveTo(inbox, start);
    const stopped = this.#work(start, end);
    if (stopped > start) this.#begunAnew();
    if (this.#ended || stopped === end) return;
    if (stopped >= start + carried) this.#keep(chunk.subarray(stopped - start - carried));
    else this.#keep(inbox.subarray(stopped, end));
  }

  // The message that was not complete is: what comes now is another one.
  #begunAnew(): void {
    this.#partial.stop();
    const waited = this.#unreserved;
    this.#giveBack();
    if (waited) this.#resume();
  }

  // Takes whole messages from the inbox; returns where the first incomplete one begins.
  #work(start: number, end: number): number {
    const { codec, limits } = this.#context;
    let at = start;
    this.#need = 0;
    while (at < end) {
      if (this.#left === 0) {
        if (end - at < BATCH_HEADER_BYTES) {
          this.#need = BATCH_HEADER_BYTES;
          return at;
        }
        if (!this.#beginBatch(at)) return end;
        at += BATCH_HEADER_BYTES;
        continue;
      }
      if (!this.#refusing && this.#context.intake.mustWait(this)) {
        this.#wait();
        return at;
      }
      const status = this.#refusing
        ? codec.skim(at, end, this.#left, this.link.wire, limits.messageBytesMax)
        : codec.intake(at, end, this.#portion(), this.link.wire, limits.messageBytesMax);
      const length = codec.result[RESULT_LENGTH]!;
      at += codec.result[RESULT_CONSUMED]!;
      this.#took(codec.result[RESULT_MESSAGES]!);
      switch (status) {
        case INTAKE_DONE:
        case INTAKE_ROWS:
          break;
        case INTAKE_MORE:
          this.#need = length;
          return at;
        case INTAKE_EMPTY:
          this.#refuse(1);
          this.#context.counters.refusedEmpty++;
          break;
        case INTAKE_LARGE:
          this.#refuse(1);
          this.#context.counters.refusedLarge++;
          this.#skip = Math.max(0, length - (end - at));
          at = Math.min(end, at + length);
          break;
        case INTAKE_FOREIGN:
          this.#breach(
            'protocol',
            `a message longer than ${MESSAGE_BYTES_CEILING} bytes was announced: this is another protocol or the other dialect (wire=${this.link.wire === 8 ? 'u64' : 'u32'} here)`,
          );
          return end;
        case INTAKE_FULL:
          if (!this.#portionUsed() && !this.#makeRoom()) return at;
          break;
        default:
          throw new BugError(`bug: unknown intake status ${status}`);
      }
      if (this.#left === 0) this.#endBatch();
    }
    return at;
  }

  // Whether room is not shared out in portions.
  get #whole(): boolean {
    return !this.#context.intake.shared || this.large;
  }

  // How many messages are taken in one go, and room for them. Others may go first after that.
  #portion(): number {
    const { commit } = this.#context;
    const whole = this.#whole;
    commit.allow(whole ? Number.POSITIVE_INFINITY : PORTION_BYTES);
    if (this.large) return 1;
    return whole ? this.#left : Math.min(this.#left, PORTION_MESSAGES);
  }

  // Whether no more than a portion was full: there may be room yet.
  #portionUsed(): boolean {
    const { codec } = this.#context;
    const whole = this.#whole;
    this.large = !whole && codec.result[RESULT_MESSAGES] === 0;
    return !whole;
  }

  #beginBatch(at: number): boolean {
    const { inbox } = this.#context.codec;
    const count =
      (inbox[at]! | (inbox[at + 1]! << 8) | (inbox[at + 2]! << 16) | (inbox[at + 3]! << 24)) >>> 0;
    if (count === 0) {
      this.#ended = true;
      if (this.#owed === 0) this.sendReplies();
      return false;
    }
    if (count > this.#context.limits.batchMessagesMax) {
      this.#breach(
        'protocol',
        `a batch of ${count} messages was announced, more than ${this.#context.limits.batchMessagesMax}: this is another protocol, or the batch must be split`,
      );
      return false;
    }
    this.#left = count;
    this.#count = count;
    this.#stored = false;
    this.#refusing = this.#context.commit.stalled;
    return true;
  }

  // Accounts for messages that an intake packed, or that a skim saw and refused.
  #took(messages: number): void {
    if (messages === 0) return;
    const { codec, commit, counters, intake } = this.#context;
    if (this.#refusing) {
      this.#refuse(messages);
      counters.refusedFull += messages;
      return;
    }
    const rows = codec.result[RESULT_ROWS]!;
    const payload = codec.result[RESULT_PAYLOAD]!;
    this.#stored = true;
    this.large = false;
    this.#left -= messages;
    this.messages += messages;
    intake.took(this.spending, payload, rows);
    commit.packed(rows, messages, payload);
  }

  #refuse(messages: number): void {
    const at = this.#count - this.#left;
    // Grows with what was seen, not with what was announced.
    if (this.#refusals === undefined || this.#refusals.length < at + messages)
      this.#growRefusals(Math.max(REFUSALS_MIN, 2 * (at + messages)));
    this.#refusals!.fill(ACK_REFUSED, at, at + messages);
    this.#left -= messages;
  }

  #growRefusals(size: number): void {
    const grown = ONES.slice(0, Math.min(size, this.#count));
    if (this.#refusals !== undefined) grown.set(this.#refusals);
    this.#refusals = grown;
  }

  #makeRoom(): boolean {
    switch (this.#context.commit.makeRoom()) {
      case 'again':
        return true;
      case 'refuse':
        this.#refusing = true;
        return true;
      case 'wait':
        this.#wait();
        return false;
    }
  }

  #wait(): void {
    this.#blocked = true;
    this.link.pause();
    this.#context.intake.wait(this);
    this.#context.flushSoon(); // what takes the room may be waiting for this batch to end
  }

  #endBatch(): void {
    if (this.#refusals !== undefined) this.#growRefusals(this.#count);
    const refusals = this.#refusals;
    this.#refusals = undefined;
    this.#owed++;
    this.#context.counters.batches++;
    const queued =
      (this.#stored || this.#owed > 1) && this.#context.commit.reply(this, this.#count, refusals);
    if (queued) this.#context.flushSoon();
    else this.answered(this.#count, refusals);
  }

  /** There is room in the log again. */
  room(): void {
    if (!this.#blocked) return;
    this.#blocked = false;
    if (this.#ended) return;
    this.#process(new Uint8Array(0));
    this.#reserve();
    this.#resume();
  }

  // A large message needs memory before more of it is read. What waits for room in the log keeps
  // what it has.
  #reserve(): void {
    if (this.#blocked || this.#ended) return;
    const bytes = this.#carry.bytes > 0 && this.#need > LARGE_BYTES ? this.#need : 0;
    if (bytes === this.#asked) return;
    const { reservations } = this.#context;
    this.#giveBack();
    if (bytes === 0) return;
    this.#asked = bytes;
    if (reservations.ask(this, memoryFor(bytes))) return;
    this.#unreserved = true;
    this.link.pause();
  }

  #giveBack(): void {
    if (this.#asked === 0) return;
    this.#asked = 0;
    this.#unreserved = false;
    this.#context.reservations.giveBack(this);
  }

  /** There is memory for the large message. */
  reserved(): void {
    this.#unreserved = false;
    this.#resume();
  }

  /** Whether the broker does not read on: there is no room in the log, or it is closing. */
  get heldBack(): boolean {
    return this.#blocked || this.#stopped;
  }

  /** Whether it waits for memory, and is not read until there is some. */
  get unreserved(): boolean {
    return this.#unreserved;
  }

  /** It sends its large message too slowly, while others wait for memory. */
  tooSlow(): void {
    this.#evicted = true;
    this.#breach(
      'memory',
      `of a message of ${this.#asked} bytes it sent fewer than ${BYTES_PER_SECOND_MIN} in a second, while others waited for memory to send theirs (--buffer)`,
    );
  }

  /** The replies of one wire batch are released. */
  answered(count: number, refusals: Uint8Array | undefined): void {
    // Ones gather, but the reply of one batch is never split over two pieces.
    if (refusals !== undefined || this.#ones + count > ONES.length) this.#sendOnes();
    if (refusals !== undefined) this.#send(refusals);
    else this.#ones += count;
    this.#owed--;
    if (!this.#replyQueued) {
      this.#replyQueued = true;
      this.#context.replyLater(this);
    }
  }

  /** Sends the replies that were released. */
  sendReplies(): void {
    this.#replyQueued = false;
    this.#sendOnes();
    if (this.#ended && this.#owed === 0) this.link.end();
  }

  #sendOnes(): void {
    if (this.#ones > 0) this.#send(ONES.subarray(0, this.#ones));
    this.#ones = 0;
  }

  #send(bytes: Uint8Array): void {
    if (this.#gone) return;
    this.link.send(bytes);
    this.#noteQueue();
    if (this.#queuedBytes > this.#context.limits.peerBytesMax && !this.#paused) {
      this.#paused = true; // it does not read its replies: take no more from it
      this.link.pause();
    }
  }

  /** Since when the peer has not taken all its replies, or -1. */
  get stuckSinceMs(): number {
    return this.#queuedBytes > 0 && !this.#evicted ? this.#queuedSinceMs : -1;
  }

  #noteQueue(): void {
    const queued = this.link.queuedBytes;
    if (this.#queuedBytes === 0) this.#queuedSinceMs = this.#context.nowMs();
    this.#context.budget.bytes += queued - this.#queuedBytes;
    this.#queuedBytes = queued;
  }

  /** The system has taken everything that was queued for the peer. */
  drained(): void {
    if (this.#gone) return;
    this.#noteQueue();
    if (!this.#paused) return;
    this.#paused = false;
    this.#resume();
  }

  /** The broker is closing: nothing more is read, also when there is room again. */
  stop(): void {
    this.#stopped = true;
    this.link.pause();
  }

  #resume(): void {
    this.#context.lookAt(this);
    if (!this.#blocked && !this.#unreserved && !this.#paused && !this.#stopped) this.link.resume();
  }

  /** The peer will send nothing more, as after a goodbye: it still gets the replies it is owed. */
  finished(): void {
    this.#ended = true;
    this.#drop();
    if (this.#owed === 0) this.sendReplies();
  }

  // Forgets the message that is not complete.
  #drop(): void {
    this.#carry.drop();
    this.#giveBack();
  }

  /** The connection is gone: a partial message leaves nothing behind. */
  gone(): void {
    this.#gone = true;
    this.#ended = true;
    this.#drop();
    this.#context.budget.bytes -= this.#queuedBytes;
    this.#queuedBytes = 0;
    this.#context.closed(this);
  }

  get #isPartial(): boolean {
    return (this.#carry.bytes > 0 || this.#skip > 0) && !this.#ended;
  }

  /** When a message that was begun must have ended; Infinity while its time stands still. */
  get partialDueMs(): number | undefined {
    return this.#isPartial ? this.#partial.dueMs : undefined;
  }

  /** Time passes: a message that was begun must end. */
  advance(nowMs: number): void {
    const partial = this.#partial;
    if (!this.#isPartial || this.#blocked || this.#unreserved || this.#paused) {
      partial.stop();
      return;
    }
    if (!partial.advance(nowMs, this.#need + this.#skip)) return;
    const { sinceMs } = partial;
    this.#context.overdue.add(this, partial.dueMs, () => {
      if (partial.sinceMs === sinceMs) this.#breach('timeout', partial.text);
    });
  }

  // What stands in the inbox is overwritten by the next read: it is copied.
  #keep(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#carry.append(bytes);
    if (this.#context.budget.over) this.#context.relieve();
  }

  /** Closes the connection, because its memory is needed. */
  evict(text: string): void {
    this.#evicted = true;
    this.#breach('memory', text);
  }

  #breach(why: BreachKind, text: string): void {
    this.closedFor = why;
    this.#ended = true;
    this.#drop();
    this.#context.breach(this.link, 'intake', why, text);
  }
}
