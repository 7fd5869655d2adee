// Dialect 1 of producers: the messages of a batch out of the inbox and into the open batch of the
// commit, as much as there is room for and as is its turn; what cannot be stored is refused in its
// place. Complete messages are packed at once, nothing is kept here.
//
//            u32 count            message ... message            count reached
//   header ------------> body ---------------------------> owed ---------------> header
//     | 0                 | Length over the ceiling
//     v                   v
//   goodbye: end when   breach: closed
//   all is answered

import {
  BATCH_HEADER_BYTES,
  INTAKE_DONE,
  INTAKE_EMPTY,
  INTAKE_FOREIGN,
  INTAKE_FULL,
  INTAKE_LARGE,
  INTAKE_MORE,
  INTAKE_ROWS,
  INTAKE_RULED,
  MESSAGE_BYTES_CEILING,
  RESULT_CONSUMED,
  RESULT_LENGTH,
  RESULT_MESSAGES,
  RESULT_PAYLOAD,
  RESULT_ROWS,
} from '../../../assembly/layout.ts';
import { BugError } from '../assert.ts';
import { QUANTUM_BYTES } from '../commit/cost.ts';
import { QUANTUM_MESSAGES } from '../fairness/fair-share.ts';
import type { Head } from '../records/placed.ts';
import type { BatchHost, BatchOwner } from './batch-host.ts';
import type { Inbound } from './inbound.ts';
import type { Replies } from './replies.ts';
import { RuledRuns, type RunReader } from './ruled-runs.ts';

export class BatchReader implements RunReader {
  readonly #host: BatchHost;
  readonly #owner: BatchOwner;
  readonly #inbound: Inbound;
  readonly #replies: Replies;
  readonly #ruledRuns: RuledRuns | undefined;
  limit = 0;
  #left = 0; // messages of the current batch still to come
  #count = 0; // messages of the current batch
  #stored = false; // whether a message of the current batch was packed
  #refusing = false; // the disk is full: the rest of this batch is refused

  constructor(host: BatchHost, owner: BatchOwner, inbound: Inbound, replies: Replies) {
    this.#host = host;
    this.#owner = owner;
    this.#inbound = inbound;
    this.#replies = replies;
    this.#ruledRuns = host.rules && new RuledRuns(host, owner, this);
  }

  /** Takes whole messages from the inbox; gives where the first incomplete one begins. */
  read(start: number, end: number): number {
    const { codec, limits, fairShare, counters } = this.#host;
    const inbound = this.#inbound;
    const owner = this.#owner;
    const { wire } = owner.link;
    let at = start;
    inbound.need = 0;
    while (at < end) {
      if (this.#left === 0) {
        if (end - at < BATCH_HEADER_BYTES) {
          inbound.need = BATCH_HEADER_BYTES;
          return at;
        }
        if (!this.#beginBatch(at)) return end;
        at += BATCH_HEADER_BYTES;
        continue;
      }
      if (!this.#refusing && fairShare.mustWait(owner)) {
        owner.wait();
        return at;
      }
      const status = this.#refusing
        ? codec.skim(at, end, this.#left, wire, limits.messageBytesMax)
        : codec.intake(at, end, this.quantum(), wire, limits.messageBytesMax);
      const length = codec.result[RESULT_LENGTH]!;
      const messages = codec.result[RESULT_MESSAGES]!;
      at += codec.result[RESULT_CONSUMED]!;
      this.took(messages);
      switch (status) {
        case INTAKE_DONE:
        case INTAKE_ROWS:
          break;
        case INTAKE_MORE:
          inbound.need = length;
          return at;
        case INTAKE_EMPTY:
          this.refuse(1);
          counters.refusedEmpty++;
          break;
        case INTAKE_LARGE:
          this.refuse(1);
          counters.refusedLarge++;
          inbound.skip = Math.max(0, length - (end - at));
          at = Math.min(end, at + length);
          break;
        case INTAKE_FOREIGN:
          owner.breach(
            'protocol',
            `a message longer than ${MESSAGE_BYTES_CEILING} bytes was announced: this is another protocol or the other dialect (wire=${wire === 8 ? 'u64' : 'u32'} here)`,
          );
          return end;
        case INTAKE_FULL:
          if (!this.quantumUsed(messages) && !this.makeRoom()) return at;
          break;
        case INTAKE_RULED: {
          const next = this.#ruledRuns!.take(at, end);
          if (next === undefined) return at;
          at = next;
          break;
        }
        default:
          throw new BugError(`bug: unknown intake status ${status}`);
      }
      if (this.#left === 0) this.#endBatch();
    }
    return at;
  }

  // Whether room is not shared out by the quantum.
  get #whole(): boolean {
    return !this.#host.fairShare.shared || this.#owner.large;
  }

  /**
   * How many messages are taken in one go, and room for them; `least` bytes go together, of which
   * some come `behind` the messages. Others may go first after that.
   */
  quantum(least = 0, behind = 0): number {
    const whole = this.#whole;
    const most = whole ? Number.POSITIVE_INFINITY : QUANTUM_BYTES;
    this.limit = this.#host.commit.allow(most, least, behind);
    if (this.#owner.large) return 1;
    return whole ? this.#left : Math.min(this.#left, QUANTUM_MESSAGES);
  }

  /** Whether no more than a quantum was full after so many messages: there may be room yet. */
  quantumUsed(messages: number): boolean {
    const whole = this.#whole;
    this.#owner.large = !whole && messages === 0;
    return !whole;
  }

  #beginBatch(at: number): boolean {
    const { inbox } = this.#host.codec;
    const count =
      (inbox[at]! | (inbox[at + 1]! << 8) | (inbox[at + 2]! << 16) | (inbox[at + 3]! << 24)) >>> 0;
    if (count === 0) {
      this.#owner.goodbye();
      return false;
    }
    if (count > this.#host.limits.batchMessagesMax) {
      this.#owner.breach(
        'protocol',
        `a batch of ${count} messages was announced, more than ${this.#host.limits.batchMessagesMax}: this is another protocol, or the batch must be split`,
      );
      return false;
    }
    this.#left = count;
    this.#count = count;
    this.#replies.begin(count);
    this.#stored = false;
    this.#refusing = this.#host.commit.stalled;
    return true;
  }

  /** So many are stored, maybe since a moment ago: the answer waits for what is on its way. */
  known(messages: number): void {
    this.#stored = true;
    this.#left -= messages;
  }

  /** Accounts for messages that an intake packed, or that a skim saw and refused. */
  took(messages: number, head?: Head): void {
    if (messages === 0) return;
    const { codec, commit, counters, fairShare } = this.#host;
    if (this.#refusing) {
      this.refuse(messages);
      counters.refusedFull += messages;
      return;
    }
    const rows = codec.result[RESULT_ROWS]!;
    const payload = codec.result[RESULT_PAYLOAD]!;
    this.#stored = true;
    this.#owner.large = false;
    this.#left -= messages;
    this.#owner.messages += messages;
    fairShare.took(this.#owner.usage, payload, rows);
    commit.packed(rows, messages, payload, head);
  }

  refuse(messages: number): void {
    this.#replies.refuse(this.#count - this.#left, messages);
    this.#left -= messages;
  }

  refuseRest(): void {
    this.#refusing = true;
  }

  makeRoom(least = 0): boolean {
    switch (this.#host.commit.makeRoom(least)) {
      case 'again':
        return true;
      case 'refuse':
        this.#refusing = true;
        return true;
      case 'wait':
        this.#owner.wait();
        return false;
    }
  }

  #endBatch(): void {
    const { commit, counters } = this.#host;
    const token = this.#replies.owe();
    counters.batches++;
    const isNext = this.#stored || this.#replies.owed > 1;
    if (isNext && commit.reply(this.#replies, token)) this.#host.turns.flushSoon();
    else this.#replies.done(token);
  }
}
