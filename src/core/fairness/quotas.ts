// What may wait in a bucket, by its rule: `max_messages` and `max_bytes`. A message that would be
// beyond is refused in its place, and none that fits is; where the oldest go instead, all do go in
// (delivery/overflow.ts). What counts is what is ready, delayed and
// held, and what was packed and is not durable yet.
//
//   producer ──admit──► open batch ──► being written ──durable──► ready, delayed, held ──► gone
//                       └────── on its way ────────┘              └─ buckets ─┘

import {
  RECORD_PLACED,
  RULES_MASKS_MAX,
  RULES_RANGES_MAX,
  RULES_SLOTS_MAX,
} from '../../../assembly/layout.ts';
import { HEAD_BYTES, KIND_LIVE } from '../../../assembly/layout-placed.ts';
import type { Buckets } from '../buckets/buckets.ts';
import { recordPayload } from '../buckets/payload-counts.ts';
import type { Batch } from '../commit/batch.ts';
import { kindOf } from '../records/placed.ts';
import { BODY_BYTES, BUCKET_HIGH, BUCKET_LOW, COUNT, ROW_WORDS, TYPE } from '../records/rows.ts';
import { packingTableOf } from '../rules/packing.ts';
import type { IntakePolicy, WatchedRun } from './intake-policy.ts';
import type { WatchedBuckets } from './watched-buckets.ts';

// Slots are half used at most.
const LIMITS = { masks: RULES_MASKS_MAX, values: RULES_SLOTS_MAX / 2, ranges: RULES_RANGES_MAX };

/** What of a bucket is on its way to the disk; `next`: of another bucket with the same low word. */
interface Passage {
  readonly high: number;
  messages: number;
  bytes: number;
  next: Passage | undefined;
}

/** Messages of a bucket that count: what is ready, delayed and held, as far as it is known. */
export function messagesIn(buckets: Buckets<unknown>, slot: number): number {
  if (slot === 0) return 0;
  // Where older ones are not counted yet, fewer than none may be known to be ready.
  const ready = Math.max(0, buckets.readyOf(slot));
  return ready + buckets.delayed.of(slot) + buckets.unackedOf(slot);
}

export class Quotas implements IntakePolicy {
  readonly #buckets: Buckets<unknown>;
  readonly #passages = new Map<number, Passage>();
  #messages = 0;

  constructor(buckets: Buckets<unknown>) {
    this.#buckets = buckets;
  }

  /** Messages that are on their way. */
  get passing(): number {
    return this.#messages;
  }

  get watched(): WatchedBuckets {
    return packingTableOf(this.#buckets.rules.table?.rules ?? [], LIMITS);
  }

  admit(run: WatchedRun): void {
    this.narrow(run, run.low, run.high);
  }

  /** Lets a run take no more than a bucket takes that is to get its messages. */
  narrow(run: WatchedRun, low: number, high: number): void {
    const { maxMessages, maxBytes, overflow } = this.#buckets.rules.for(low, high);
    if (overflow !== 'refuse' || (maxMessages === 0 && maxBytes === 0)) return;
    const passage = this.#find(low, high);
    const slot = this.#buckets.find(low, high);
    if (maxMessages > 0) {
      const room = maxMessages - (passage?.messages ?? 0) - messagesIn(this.#buckets, slot);
      const take = Math.max(0, Math.min(run.take, room));
      if (take < run.take) run.refuse = run.take - take;
      run.take = take;
    }
    if (maxBytes === 0) return;
    const waiting = slot === 0 ? 0 : this.#buckets.payload.of(slot);
    const room = maxBytes - (passage?.bytes ?? 0) - waiting;
    if (run.bytes > room) fit(run, room);
  }

  packed({ low, high }: Pick<WatchedRun, 'low' | 'high'>, messages: number, bytes: number): void {
    let passage = this.#find(low, high);
    if (passage === undefined) {
      passage = { high, messages: 0, bytes: 0, next: this.#passages.get(low) };
      this.#passages.set(low, passage);
    }
    passage.messages += messages;
    passage.bytes += bytes;
    this.#messages += messages;
  }

  /** How many messages from another line a bucket takes, and bytes of them; Infinity: any. */
  roomIn(low: number, high: number): { messages: number; bytes: number } {
    const { maxMessages, maxBytes, overflow } = this.#buckets.rules.for(low, high);
    const room = { messages: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY };
    if (overflow !== 'refuse') return room;
    const passage = this.#find(low, high);
    const slot = this.#buckets.find(low, high);
    if (maxMessages > 0)
      room.messages = maxMessages - (passage?.messages ?? 0) - messagesIn(this.#buckets, slot);
    const waiting = slot === 0 ? 0 : this.#buckets.payload.of(slot);
    if (maxBytes > 0) room.bytes = maxBytes - (passage?.bytes ?? 0) - waiting;
    return room;
  }

  /** So many of them went into the open batch; of a bucket that takes any nothing is counted. */
  moving(low: number, high: number, messages: number, bytes: number): void {
    const { maxMessages, maxBytes, overflow } = this.#buckets.rules.for(low, high);
    if (overflow === 'refuse' && maxMessages + maxBytes > 0)
      this.packed({ low, high }, messages, bytes);
  }

  /** A batch became durable: what of it was on its way is in its buckets. */
  durable({ rows: { words, count } }: Batch): void {
    if (this.#messages === 0) return;
    for (let at = 0; at < count * ROW_WORDS; at += ROW_WORDS) {
      const isPlaced = words[at + TYPE] === RECORD_PLACED;
      if (isPlaced && kindOf(words, at) !== KIND_LIVE) continue;
      const low = words[at + BUCKET_LOW]!;
      const passage = this.#find(low, words[at + BUCKET_HIGH]!);
      if (passage === undefined) continue;
      // Of what was packed before there was a bound nothing was counted.
      const messages = Math.min(passage.messages, words[at + COUNT]!);
      passage.messages -= messages;
      const headBytes = isPlaced ? HEAD_BYTES : 0;
      const payload = recordPayload(words[at + BODY_BYTES]!, words[at + COUNT]!, headBytes);
      passage.bytes = Math.max(0, passage.bytes - payload);
      this.#messages -= messages;
      if (passage.messages === 0) this.#remove(low, passage);
    }
  }

  #find(low: number, high: number): Passage | undefined {
    let passage = this.#passages.get(low);
    while (passage !== undefined && passage.high !== high) passage = passage.next;
    return passage;
  }

  #remove(low: number, passage: Passage): void {
    let before = this.#passages.get(low);
    if (before !== passage) {
      while (before!.next !== passage) before = before!.next;
      before!.next = passage.next;
    } else if (passage.next === undefined) this.#passages.delete(low);
    else this.#passages.set(low, passage.next);
  }
}

// Takes the first messages of a run that fit into `room` bytes, and refuses those behind them that
// do not. A smaller one behind these is asked about again.
function fit(run: WatchedRun, room: number): void {
  const most = run.take;
  let place = run.at;
  let [taken, left] = [0, room];
  while (taken < most) {
    const payload = run.payloadAt(place);
    if (payload > left) break;
    left -= payload;
    taken++;
    place = run.behind(place, payload);
  }
  let refused = 0;
  while (taken + refused < most) {
    const payload = run.payloadAt(place);
    if (payload <= left) break;
    refused++;
    place = run.behind(place, payload);
  }
  // Where all fit that are not too many, those are refused that are.
  if (taken === most) return;
  run.take = taken;
  run.refuse = refused;
}
