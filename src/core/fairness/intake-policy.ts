// Decides which messages go in at all, before they are packed: the module stops at runs of messages
// for buckets that a policy watches, and the policy rules on each run.

import {
  BUCKET_BYTES,
  RESULT_BUCKET_HIGH,
  RESULT_BUCKET_LOW,
  RESULT_MESSAGES,
  RESULT_PAYLOAD,
  RESULT_RULE,
  RESULT_RUN_MESSAGES,
  RESULT_RUN_PAYLOAD,
} from '../../../assembly/layout.ts';
import { assert } from '../assert.ts';
import type { Codec } from '../ports/codec.ts';
import { type WatchedBuckets, writeWatched } from './watched-buckets.ts';

const NO_BYTES = new Uint8Array();
const NO_COPIES: readonly CopyTarget[] = [];

/** A bucket that gets a copy of what another one gets. */
export interface CopyTarget {
  /** Its id, in halves. */
  low: number;
  high: number;
  /** The copy is not ready before this time, in ms since 1970; 0: at once. */
  dueMs: number;
  /** When it is copied, in ms since 1970. */
  copiedMs: number;
}

/** Neighbouring messages of one producer for one bucket, and what the policy answers. */
export class WatchedRun {
  /** Which of what is watched matched, by the number it was given. */
  rule = 0;
  /** The bucket's id, in halves. */
  low = 0;
  high = 0;
  /** How many messages are there; there may be more behind them that are not counted yet. */
  messages = 0;
  /** Their payload, in bytes. */
  bytes = 0;
  /** So many of them are to be packed, at first all. */
  take = 0;
  /** So many behind these are to be refused, at first none. The policy is asked about the rest. */
  refuse = 0;
  /** So many of the first are stored already, and answered so: then the others are not decided. */
  skip = 0;
  /** Nothing is decided yet: it is asked again when there may be room. */
  waits = false;
  /** Bytes of records that the policy packs itself, when it is told what was `packed`, at most. */
  behindBytes = 0;
  /** What is packed is not ready before this time, in ms since 1970; at first 0: at once. */
  dueMs = 0;
  /** Who gets a copy of each message that is packed, in the same batch; at first nobody. */
  copies = NO_COPIES;
  /** Where the first of them stands in the inbox, for `payloadAt`. */
  at = 0;
  #inbox: Uint8Array = NO_BYTES;
  #lengthBytes = 0;

  /** It stands in the inbox from `at` on; `wire`: bytes of a Length. */
  stands(inbox: Uint8Array, at: number, wire: number): void {
    this.#inbox = inbox;
    this.at = at;
    this.#lengthBytes = wire;
  }

  /** Bytes of a Length. */
  get wire(): number {
    return this.#lengthBytes;
  }

  /** Bytes of payload of the message that stands at a place. */
  payloadAt(place: number): number {
    const inbox = this.#inbox;
    const at = place + BUCKET_BYTES;
    // The upper half of a longer Length is 0: these messages were found to be small enough.
    const [a, b, c, d] = [inbox[at]!, inbox[at + 1]!, inbox[at + 2]!, inbox[at + 3]!];
    return (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;
  }

  /** The place of the message behind one with so much payload. */
  behind(place: number, payload: number): number {
    return place + BUCKET_BYTES + this.#lengthBytes + payload;
  }
}

/** Who decides. Called while a producer's bytes are read, so it answers at once. */
export interface IntakePolicy {
  /** The buckets about which it is asked; about others it is not. */
  readonly watched: WatchedBuckets;
  /**
   * Answers in `skip`, `take`, `refuse`, `dueMs` and `copies` of the run: at least one message in
   * all, and no more than there are; or in `waits`. It is asked again about messages that found no room or were
   * not taken in one go, so it counts in `packed`. The run is used again afterwards.
   */
  admit(run: WatchedRun): void;
  /** So many messages of the run went into the open batch. */
  packed(run: WatchedRun, messages: number, bytes: number): void;
}

/** A policy, and what it watches in the codec's RULES. */
export class IntakeRules {
  readonly #codec: Pick<Codec, 'inbox' | 'result' | 'rules'>;
  readonly #policy: IntakePolicy;
  readonly #run = new WatchedRun();

  constructor(codec: Pick<Codec, 'inbox' | 'result' | 'rules'>, policy: IntakePolicy) {
    this.#codec = codec;
    this.#policy = policy;
    this.load();
  }

  /** Takes over what the policy watches from now on. */
  load(): void {
    writeWatched(this.#codec.rules, this.#policy.watched);
  }

  /** What is to become of the run that an intake has just stopped at, `at` in the inbox. */
  ask(at: number, wire: number): WatchedRun {
    const { inbox, result } = this.#codec;
    const run = this.#run;
    run.rule = result[RESULT_RULE]!;
    run.low = result[RESULT_BUCKET_LOW]!;
    run.high = result[RESULT_BUCKET_HIGH]!;
    run.messages = result[RESULT_RUN_MESSAGES]!;
    run.bytes = result[RESULT_RUN_PAYLOAD]!;
    run.take = run.messages;
    run.refuse = 0;
    run.skip = 0;
    run.waits = false;
    run.behindBytes = 0;
    run.dueMs = 0;
    run.copies = NO_COPIES;
    run.stands(inbox, at, wire);
    const { messages } = run;
    this.#policy.admit(run);
    const decided = run.skip + run.take + run.refuse;
    assert(run.take >= 0 && run.refuse >= 0, 'a policy answered with fewer than no messages');
    assert(
      run.waits ? decided === 0 : decided > 0 && decided <= messages,
      'a policy answered about none, or about others',
    );
    assert(
      run.skip === 0 || decided === run.skip,
      'a policy answered about more than what it skips',
    );
    return run;
  }

  /** An intake has taken of the run that was asked about last; returns how many messages. */
  packed(): number {
    const { result } = this.#codec;
    const messages = result[RESULT_MESSAGES]!;
    if (messages > 0) this.#policy.packed(this.#run, messages, result[RESULT_PAYLOAD]!);
    return messages;
  }
}
