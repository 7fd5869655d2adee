// Messages that rules stop on their way into the open batch, run by run: the policy is asked, and
// what it says is done here. They go in as they are, or behind a head that says from when on they
// are ready, or with copies for other buckets, or they are refused in their places.

import { RECORD_HEADER_BYTES, RESULT_CONSUMED, RESULT_PAYLOAD } from '../../../assembly/layout.ts';
import { KIND_LIVE, REASON_COPIED } from '../../../assembly/layout-placed.ts';
import { assert } from '../assert.ts';
import { bytesWithCopies } from '../fairness/copies.ts';
import type { WatchedRun } from '../fairness/intake-policy.ts';
import { type Head, NO_HEAD, writeHead } from '../records/placed.ts';
import { BODY_BYTES, OFFSET, sequenceOf } from '../records/rows.ts';
import type { BatchHost, BatchOwner } from './batch-host.ts';

/** Who reads the batch that they are in. */
export interface RunReader {
  /** How many messages are taken in one go, with room for them; `least` bytes go together, of which
   * some come `behind` the messages. */
  quantum(least?: number, behind?: number): number;
  /** How far these may be written. */
  readonly limit: number;
  /** Whether no more than a quantum was full of what so many were taken: there may be room yet. */
  quantumUsed(messages: number): boolean;
  /** False: the producer waits. */
  makeRoom(least?: number): boolean;
  /** An intake packed so many. */
  took(messages: number, head?: Head): void;
  /** So many are stored already: answered with 1 when all is durable that is on its way. */
  known(messages: number): void;
  /** So many are answered with 0. */
  refuse(messages: number): void;
  /** The disk is full: the rest of the batch is refused. */
  refuseRest(): void;
}

export class RuledRuns {
  readonly #host: BatchHost;
  readonly #owner: BatchOwner;
  readonly #reader: RunReader;

  constructor(host: BatchHost, owner: BatchOwner, reader: RunReader) {
    this.#host = host;
    this.#owner = owner;
    this.#reader = reader;
  }

  /**
   * The policy decides about the run at `at`; gives where what it is asked about next begins, or
   * undefined if the producer waits.
   */
  take(at: number, end: number): number | undefined {
    const { codec, counters, limits, rules } = this.#host;
    const { wire } = this.#owner.link;
    const run = rules!.ask(at, wire);
    if (run.waits) {
      this.#owner.wait();
      return undefined;
    }
    if (run.skip > 0) return this.#known(run, end);
    const more = run.dueMs > 0 || run.copies.length > 0 || run.behindBytes > 0;
    if (run.take > 0 && more) return this.#placed(run, end);
    const most = Math.min(run.take, this.#reader.quantum());
    codec.intake(at, end, most, wire, limits.messageBytesMax, true);
    const behind = at + codec.result[RESULT_CONSUMED]!;
    const messages = rules!.packed();
    this.#reader.took(messages);
    if (messages < run.take || run.refuse === 0) return behind;
    codec.skim(behind, end, run.refuse, wire, limits.messageBytesMax);
    this.#reader.refuse(run.refuse);
    counters.refusedByRule += run.refuse;
    return behind + codec.result[RESULT_CONSUMED]!;
  }

  // The first messages of a run were published before.
  #known({ skip, at }: WatchedRun, end: number): number {
    const { codec, counters, limits } = this.#host;
    codec.skim(at, end, skip, this.#owner.link.wire, limits.messageBytesMax);
    this.#reader.known(skip);
    counters.duplicateMessages += skip;
    return at + codec.result[RESULT_CONSUMED]!;
  }

  // What is taken of a run waits for a time, or is copied, or its ids come behind it. The policy is
  // asked about the rest again.
  #placed(run: WatchedRun, end: number): number | undefined {
    const { commit } = this.#host;
    const reader = this.#reader;
    if (!commit.mayPlace()) {
      // On a full disk there may be no segment for them for as long as it takes.
      if (commit.refuses) {
        reader.refuseRest();
        return run.at;
      }
      this.#owner.wait();
      return undefined;
    }
    const { behindBytes } = run;
    const copies = run.copies.length;
    const first = copies > 0 ? bytesWithCopies(1, run.payloadAt(run.at), copies) : 0;
    const least = first + behindBytes;
    const most = Math.min(run.take, reader.quantum(least, behindBytes));
    const count = copies > 0 ? this.#fitting(run, most) : most;
    const [messages, behind] = count > 0 ? this.#pack(run, count, end) : [0, run.at];
    // What is about them takes room, too, so there may have been some for the messages alone.
    if (messages === 0 && !reader.quantumUsed(0) && !reader.makeRoom(least)) return undefined;
    return behind;
  }

  // How many of the first messages have room with all of their copies.
  #fitting(run: WatchedRun, most: number): number {
    const room = this.#reader.limit - this.#host.codec.writeAt();
    const copies = run.copies.length;
    let place = run.at;
    let [count, payload] = [0, 0];
    for (; count < most; count++) {
      const bytes = run.payloadAt(place);
      payload += bytes;
      if (bytesWithCopies(count + 1, payload, copies) > room) break;
      place = run.behind(place, bytes);
    }
    return count;
  }

  // Packs messages and their copies; gives how many messages, and where the next one is.
  #pack(run: WatchedRun, count: number, end: number): [messages: number, behind: number] {
    const { codec, limits, rules } = this.#host;
    const { at, dueMs } = run;
    const { wire } = this.#owner.link;
    let head: Head | undefined;
    if (dueMs > 0) {
      head = { ...NO_HEAD, dueMs };
      writeHead(codec.marks, 0, head);
      codec.intakePlaced(at, end, count, wire);
    } else codec.intake(at, end, count, wire, limits.messageBytesMax, true);
    const behind = at + codec.result[RESULT_CONSUMED]!;
    const messages = rules!.packed();
    this.#reader.took(messages, head);
    if (run.copies.length > 0) this.#copy(run, count, messages);
    return [messages, behind];
  }

  // Packs copies of the messages that were just packed as one record.
  #copy({ low, high, copies, behindBytes }: WatchedRun, count: number, messages: number): void {
    const { codec, commit, fairShare } = this.#host;
    assert(messages === count, 'messages that are to be copied found no room that was there');
    const body = codec.coldBytes + codec.rows[OFFSET]! + RECORD_HEADER_BYTES;
    const bodyBytes = codec.rows[BODY_BYTES]!;
    const from = sequenceOf(codec.rows, 0);
    const payload = codec.result[RESULT_PAYLOAD]!;
    const fromBucket = (BigInt(high) << 32n) | BigInt(low);
    const said = { ...NO_HEAD, from, fromBucket, reason: REASON_COPIED };
    // What was kept for records behind the messages is used up.
    const all = bytesWithCopies(count, payload, copies.length);
    if (behindBytes > 0) commit.allow(all, all + behindBytes);
    for (const to of copies) {
      const head = { ...said, dueMs: to.dueMs, movedMs: to.copiedMs };
      writeHead(codec.marks, 0, head);
      const { low: toLow, high: toHigh } = to;
      const fits = codec.place(body, bodyBytes, 0, count, toLow, toHigh, KIND_LIVE, 0, 0);
      assert(fits, 'copies found no room that was there');
      fairShare.took(this.#owner.usage, payload, 1);
      commit.packed(1, count, payload, head);
    }
  }
}
