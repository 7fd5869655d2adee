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
import type { BreachKind } from '../../contract/close-reasons.ts';
import { BugError } from '../assert.ts';
import type { Commit } from '../commit/commit.ts';
import { QUANTUM_BYTES } from '../commit/cost.ts';
import { type FairShare, QUANTUM_MESSAGES, type SharingProducer } from '../fairness/fair-share.ts';
import type { IntakeRules, WatchedRun } from '../fairness/intake-policy.ts';
import type { Limits } from '../limits.ts';
import type { Counters } from '../metrics/counters.ts';
import type { Codec } from '../ports/codec.ts';
import type { Link } from '../ports/link.ts';
import { type Head, NO_HEAD, writeHead } from '../records/placed.ts';
import type { Inbound } from './inbound.ts';
import type { Replies } from './replies.ts';

/** What reading batches needs of the broker. */
export interface BatchHost {
  /** Packs what is in the inbox into the open segment, or only walks it. */
  readonly codec: Pick<Codec, 'inbox' | 'result' | 'marks' | 'intake' | 'intakePlaced' | 'skim'>;
  /** `batchMessagesMax` and, in bytes, `messageBytesMax`. */
  readonly limits: Limits;
  /** The open batch, how much may go into it, and who is to be told when it is durable. */
  readonly commit: Pick<
    Commit,
    'stalled' | 'refuses' | 'allow' | 'makeRoom' | 'mayPlace' | 'packed' | 'reply'
  >;
  /** How much a producer may put into a batch, and when it goes on. */
  readonly fairShare: FairShare;
  /** Who is asked about messages before they are packed, if anybody is. */
  readonly rules: IntakeRules | undefined;
  /** Batches, and refusals by their reason. */
  readonly counters: Counters;
  readonly turns: {
    /** Asks for a flush after the inputs that wait now. */
    flushSoon(): void;
  };
}

/** The connection whose batches are read. */
export interface BatchOwner extends SharingProducer {
  readonly link: Link;
  /** Messages that were taken from it. */
  messages: number;
  /** Whether its next message is larger than a quantum. */
  large: boolean;
  /** Waits for room; `roomAgain` is called when there may be some. */
  wait(): void;
  /** Nothing more comes. */
  goodbye(): void;
  /** The peer went too far: closed at once. */
  breach(why: BreachKind, text: string): void;
}

export class BatchReader {
  readonly #host: BatchHost;
  readonly #owner: BatchOwner;
  readonly #inbound: Inbound;
  readonly #replies: Replies;
  #left = 0; // messages of the current batch still to come
  #count = 0; // messages of the current batch
  #stored = false; // whether a message of the current batch was packed
  #refusing = false; // the disk is full: the rest of this batch is refused

  constructor(host: BatchHost, owner: BatchOwner, inbound: Inbound, replies: Replies) {
    this.#host = host;
    this.#owner = owner;
    this.#inbound = inbound;
    this.#replies = replies;
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
        : codec.intake(at, end, this.#quantum(), wire, limits.messageBytesMax);
      const length = codec.result[RESULT_LENGTH]!;
      at += codec.result[RESULT_CONSUMED]!;
      this.#took(codec.result[RESULT_MESSAGES]!);
      switch (status) {
        case INTAKE_DONE:
        case INTAKE_ROWS:
          break;
        case INTAKE_MORE:
          inbound.need = length;
          return at;
        case INTAKE_EMPTY:
          this.#refuse(1);
          counters.refusedEmpty++;
          break;
        case INTAKE_LARGE:
          this.#refuse(1);
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
          if (!this.#quantumUsed() && !this.#makeRoom()) return at;
          break;
        case INTAKE_RULED: {
          const next = this.#ruled(at, end);
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

  // The policy decides about the run at `at`; gives where what it is asked about next begins, or
  // undefined if the producer waits.
  #ruled(at: number, end: number): number | undefined {
    const { codec, counters, limits, rules } = this.#host;
    const { wire } = this.#owner.link;
    const run = rules!.ask(at, wire);
    if (run.dueMs > 0 && run.take > 0) return this.#placed(run, at, end);
    const most = Math.min(run.take, this.#quantum());
    codec.intake(at, end, most, wire, limits.messageBytesMax, true);
    const behind = at + codec.result[RESULT_CONSUMED]!;
    const messages = rules!.packed();
    this.#took(messages);
    if (messages < run.take || run.refuse === 0) return behind;
    codec.skim(behind, end, run.refuse, wire, limits.messageBytesMax);
    this.#refuse(run.refuse);
    counters.refusedByRule += run.refuse;
    return behind + codec.result[RESULT_CONSUMED]!;
  }

  // What is taken of the run at `at` waits for a time. The policy is asked about the rest again.
  #placed({ take, dueMs }: WatchedRun, at: number, end: number): number | undefined {
    const { codec, commit, rules } = this.#host;
    if (!commit.mayPlace()) {
      // On a full disk there may be no segment for them for as long as it takes.
      if (commit.refuses) this.#refusing = true;
      else this.#owner.wait();
      return this.#refusing ? at : undefined;
    }
    const head = { ...NO_HEAD, dueMs };
    writeHead(codec.marks, 0, head);
    const most = Math.min(take, this.#quantum());
    codec.intakePlaced(at, end, most, this.#owner.link.wire);
    const behind = at + codec.result[RESULT_CONSUMED]!;
    const messages = rules!.packed();
    this.#took(messages, head);
    // A head takes room, too, so there may have been some for the messages alone.
    if (messages === 0 && !this.#quantumUsed() && !this.#makeRoom()) return undefined;
    return behind;
  }

  // Whether room is not shared out by the quantum.
  get #whole(): boolean {
    return !this.#host.fairShare.shared || this.#owner.large;
  }

  // How many messages are taken in one go, and room for them. Others may go first after that.
  #quantum(): number {
    const { commit } = this.#host;
    const whole = this.#whole;
    commit.allow(whole ? Number.POSITIVE_INFINITY : QUANTUM_BYTES);
    if (this.#owner.large) return 1;
    return whole ? this.#left : Math.min(this.#left, QUANTUM_MESSAGES);
  }

  // Whether no more than a quantum was full: there may be room yet.
  #quantumUsed(): boolean {
    const { codec } = this.#host;
    const whole = this.#whole;
    this.#owner.large = !whole && codec.result[RESULT_MESSAGES] === 0;
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

  // Accounts for messages that an intake packed, or that a skim saw and refused.
  #took(messages: number, head?: Head): void {
    if (messages === 0) return;
    const { codec, commit, counters, fairShare } = this.#host;
    if (this.#refusing) {
      this.#refuse(messages);
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

  #refuse(messages: number): void {
    this.#replies.refuse(this.#count - this.#left, messages);
    this.#left -= messages;
  }

  #makeRoom(): boolean {
    switch (this.#host.commit.makeRoom()) {
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
