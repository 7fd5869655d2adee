// Suspects of all buckets: who is put apart, how many, and whose turn it is. What comes back from a
// consumer is put apart in any case; what a line meets, as its levels were in the log, only while
// there is room. The others are given out where they stand, with none of another level.

import { type BucketTable, FLAGS, SUSPECTS_LAST, wordsAt } from './bucket-table.ts';
import type { Slice } from './slice.ts';
import type { Subscription } from './subscription.ts';
import { Suspects } from './suspects.ts';

export class Isolation {
  readonly #table: BucketTable;
  readonly #most: number;
  /** Slices over all buckets. */
  count = 0;

  /** `most`: slices that are put apart where lines meet them. */
  constructor(table: BucketTable, most: number) {
    this.#table = table;
    this.#most = most;
  }

  /** Whether what a line meets is put apart. */
  takes(subscription: Subscription<unknown>): boolean {
    subscription.suspects ??= new Suspects();
    return !subscription.suspects.isAll && this.count < this.#most;
  }

  /** Whoever takes all of a line is next: it is given out as it stands. */
  all(subscription: Subscription<unknown>): void {
    subscription.suspects ??= new Suspects();
    subscription.suspects.all();
  }

  /** A slice of a level above 0 is apart from now on. */
  add(subscription: Subscription<unknown>, slice: Slice): void {
    subscription.suspects ??= new Suspects();
    subscription.suspects.push(slice);
    this.count++;
  }

  /** What `peek` of the suspects gave leaves them. */
  pop(subscription: Subscription<unknown>, slice: Slice): void {
    subscription.suspects!.pop(slice);
    this.count--;
  }

  /** Takes out what stands at or behind a sequence. */
  dropFrom({ suspects }: Subscription<unknown>, sequence: number): Slice[] {
    const dropped = suspects?.dropFrom(sequence) ?? [];
    this.count -= dropped.length;
    return dropped;
  }

  /**
   * Decides what the next delivery of a bucket is of, as `Suspects.choose` says. They take turns, and
   * also where each of them is the last thing that a consumer ever was given.
   */
  choose(subscription: Subscription<unknown>, rest: number, inOrder: boolean): boolean {
    const { slot, suspects, consumers, loading } = subscription;
    const others = this.#table.has(slot, SUSPECTS_LAST) ? 'rest' : 'suspects';
    const isAny = suspects!.choose(rest, consumers, loading, inOrder ? 'in order' : others);
    if (rest > 0 && !this.isNext(subscription)) suspects!.others();
    return isAny;
  }

  /**
   * Whether the suspects that were chosen are surely next: what is sought before them may be one,
   * too, and is put apart when the rest of the line comes to it.
   */
  isNext({ suspects, sought }: Subscription<unknown>): boolean {
    const suspect = suspects!.peek();
    const run = sought?.peek();
    return suspect === undefined || run === undefined || suspect.sequence < run.sequence;
  }

  /** A delivery of messages of a level was sent. */
  delivered({ slot, suspects }: Subscription<unknown>, level: number): void {
    const { words } = this.#table.page(slot);
    if (level === 0) words[wordsAt(slot) + FLAGS]! &= ~SUSPECTS_LAST;
    else {
      words[wordsAt(slot) + FLAGS]! |= SUSPECTS_LAST;
      suspects!.holders++;
    }
  }

  /** There are no suspects any more, if so. */
  tidy(subscription: Subscription<unknown>): void {
    if (subscription.suspects?.isOver) subscription.suspects = undefined;
  }
}
