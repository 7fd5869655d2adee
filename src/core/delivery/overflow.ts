// What a bucket has too much of, where a rule says that the oldest go: `overflow=drop-oldest`, or, if
// they are to die, `dead-oldest`. When a
// batch is durable and consumers were given theirs, so many of what is ready go, the oldest first,
// that the bucket has no more than `max_messages` and `max_bytes`. What is held or delayed counts
// and stays: it cannot be taken from anybody.
//
//   durable ──► too much? ──► oldest ready ──► gone, with a mark in the next batch
//                    │               └──────► dying: the mover has them
//                    └─ in indexes: taken over from consumers while that is looked up

import { KIND_LIVE, REASON_OVERFLOW } from '../../../assembly/layout-placed.ts';
import type { Buckets } from '../buckets/buckets.ts';
import type { Slice } from '../buckets/slice.ts';
import type { Batch } from '../commit/batch.ts';
import type { Commit } from '../commit/commit.ts';
import { messagesIn } from '../fairness/quotas.ts';
import { BUCKET_HIGH, BUCKET_LOW, ROW_WORDS } from '../records/rows.ts';
import type { RuleTable } from '../rules/rule-table.ts';
import { DEAD } from './destination.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { Dying } from './dying.ts';
import type { Mover } from './mover.ts';
import type { Settlement } from './settlement.ts';

// Parts of a line that go in one turn, and marks that may wait: what is more goes with later ones.
const PARTS_MAX = 2048;
const MARKS_MAX = 65_536;

/** The parts of the broker that it asks. */
export interface OverflowParts {
  readonly buckets: Buckets<unknown>;
  readonly commit: Pick<Commit, 'waitingMarks'>;
  readonly dispatcher: Pick<Dispatcher, 'occupy' | 'release' | 'lookup'>;
  readonly dying: Pick<Dying, 'areDropped'>;
  readonly mover: Pick<Mover, 'isFull' | 'take' | 'waits'>;
  readonly settlement: Pick<Settlement, 'discard' | 'drop' | 'withdraw'>;
  readonly closing: boolean;
}

export class Overflow {
  readonly #parts: OverflowParts;
  // Buckets that may have too much, and those of them whose line is taken.
  readonly #due = new Set<number>();
  readonly #taken = new Map<number, () => void>();
  // What the mover has of each: it counts as held until it is durable elsewhere.
  readonly #leaving = new Map<number, { messages: number; bytes: number }>();
  #isOn = false;
  #isSwept = true;

  constructor(parts: OverflowParts) {
    this.#parts = parts;
  }

  /** Other rules are in force: for what waits already when the next batch is durable. */
  use({ rules }: RuleTable): void {
    this.#isOn = rules.some(({ values }) => (values.overflow ?? 'refuse') !== 'refuse');
    this.#isSwept = false;
    if (this.#isOn) return;
    this.#due.clear();
    for (const slot of [...this.#taken.keys()]) this.#leave(slot);
  }

  /** A batch became durable, is in its lines, and was delivered where somebody waited. */
  durable({ rows: { words, count } }: Batch): void {
    if (!this.#isOn) return;
    const { buckets } = this.#parts;
    if (this.#isSwept)
      for (let at = 0; at < count * ROW_WORDS; at += ROW_WORDS)
        this.#note(buckets.find(words[at + BUCKET_LOW]!, words[at + BUCKET_HIGH]!));
    else for (const slot of buckets.slots()) this.#note(slot);
    this.#isSwept = true;
    for (const slot of [...this.#due]) this.#drop(slot);
  }

  #note(slot: number): void {
    if (slot !== 0 && this.#isRuled(slot)) this.#due.add(slot);
  }

  // Goes on with the next batch where it is not done.
  #drop(slot: number): void {
    const { buckets, commit, settlement } = this.#parts;
    const isRuled = buckets.inUse(slot) && this.#isRuled(slot);
    for (let parts = 0; parts < PARTS_MAX && commit.waitingMarks < MARKS_MAX; parts++) {
      if (!isRuled || !this.#isOver(slot)) {
        this.#due.delete(slot);
        this.#leave(slot);
        return;
      }
      // The oldest may be a suspect.
      const share = buckets.subscription(slot);
      if (share !== undefined) buckets.isolation.all(share);
      const next = buckets.peek(slot);
      if (next === undefined) {
        this.#lookUp(slot);
        return;
      }
      if (buckets.rules.of(slot).overflow === 'drop-oldest')
        settlement.drop(next, this.#excess(next), 'overflow');
      else if (!this.#dies(next, this.#excess(next))) return;
    }
  }

  // The oldest are dead; false: the mover has no room, and it goes on with a later batch.
  #dies(next: Slice, count: number): boolean {
    const { buckets, dying, mover, settlement } = this.#parts;
    const { slot } = next;
    if (dying.areDropped(slot)) {
      settlement.discard(settlement.withdraw(next, count), REASON_OVERFLOW);
      return true;
    }
    if (mover.isFull) {
      mover.waits(slot);
      return false;
    }
    const { payload } = buckets;
    const bytes = payload.isOn ? payload.ofPart(next, 0, count) : 0;
    const part = settlement.withdraw(next, count);
    this.#leaves(slot, count, bytes);
    const ended = (some: number) => this.#leaves(slot, -some, (-bytes * some) / count);
    return mover.take(part, { reason: REASON_OVERFLOW, to: DEAD, by: undefined, ended });
  }

  #leaves(slot: number, count: number, bytes: number): void {
    const leaving = this.#leaving.get(slot) ?? { messages: 0, bytes: 0 };
    leaving.messages += count;
    leaving.bytes += bytes;
    if (leaving.messages === 0) this.#leaving.delete(slot);
    else this.#leaving.set(slot, leaving);
  }

  // What a bucket has, but for what is leaving it.
  #messagesIn(slot: number): number {
    return messagesIn(this.#parts.buckets, slot) - (this.#leaving.get(slot)?.messages ?? 0);
  }

  #bytesIn(slot: number): number {
    const leaving = this.#leaving.get(slot)?.bytes ?? 0;
    return this.#parts.buckets.payload.of(slot) - Math.ceil(leaving);
  }

  // Rules are for what was published: nothing of a bucket's other lines goes.
  #isRuled(slot: number): boolean {
    const { buckets } = this.#parts;
    if (buckets.kindOf(slot) !== KIND_LIVE) return false;
    return buckets.rules.of(slot).overflow !== 'refuse';
  }

  #isOver(slot: number): boolean {
    const { buckets } = this.#parts;
    const { maxMessages, maxBytes } = buckets.rules.of(slot);
    if (maxMessages > 0 && this.#messagesIn(slot) > maxMessages) return true;
    return maxBytes > 0 && this.#bytesIn(slot) > maxBytes;
  }

  // How many of the next messages of a bucket that has too much go: as few as do.
  #excess(next: Slice): number {
    const { buckets } = this.#parts;
    const { slot, count } = next;
    const { maxMessages, maxBytes } = buckets.rules.of(slot);
    const messages = maxMessages > 0 ? this.#messagesIn(slot) - maxMessages : 0;
    let most = Math.min(count, Math.max(0, messages));
    const bytes = maxBytes > 0 ? this.#bytesIn(slot) - maxBytes : 0;
    while (most < count && buckets.payload.ofPart(next, 0, most) < bytes) most++;
    return most;
  }

  // Nothing is ready in memory. What is in indexes is found for who shares the bucket.
  #lookUp(slot: number): void {
    const { buckets, closing, dispatcher } = this.#parts;
    const share = buckets.subscription(slot);
    const isMore = buckets.headOf(slot).isOlder || share?.sought !== undefined;
    if (isMore && !closing && !this.#taken.has(slot)) {
      const taker = () => this.#drop(slot);
      this.#taken.set(slot, taker);
      dispatcher.occupy(slot, taker);
    }
    if (isMore && this.#taken.has(slot)) dispatcher.lookup(slot);
    if (buckets.subscription(slot)?.loading === true) return;
    // Behind what is in indexes the line goes on in memory.
    if (isMore && buckets.peek(slot) !== undefined) this.#drop(slot);
    else this.#leave(slot);
  }

  #leave(slot: number): void {
    const taker = this.#taken.get(slot);
    if (taker === undefined) return;
    this.#taken.delete(slot);
    this.#parts.dispatcher.release(slot, taker);
  }
}
