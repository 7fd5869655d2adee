// The front of each line: what comes next in it, and how the line goes on when that leaves it.
// Suspects that are met in the line of a bucket that somebody consumes are put apart there.

import { assert } from '../assert.ts';
import {
  advance,
  type BucketTable,
  FLAGS,
  HEAD,
  NEXT,
  numbersAt,
  OLDER,
  type Page,
  REWOUND,
  TAKEN,
  wordsAt,
} from './bucket-table.ts';
import type { Entries } from './entries.ts';
import type { Isolation } from './isolation.ts';
import { type Seeking, soughtNext } from './seeking.ts';
import { emptySlice, type Slice } from './slice.ts';
import type { Subscription } from './subscription.ts';
import type { Unsettled } from './unsettled.ts';

export interface LineFrontParts {
  readonly table: BucketTable;
  readonly entries: Entries;
  readonly unsettled: Unsettled;
  readonly subscriptions: ReadonlyMap<number, Subscription<unknown>>;
  readonly seeking: Seeking;
  readonly isolation: Isolation;
}

export class LineFront {
  readonly #table: BucketTable;
  readonly #entries: Entries;
  readonly #unsettled: Unsettled;
  readonly #subscriptions: LineFrontParts['subscriptions'];
  readonly #seeking: Seeking;
  readonly #isolation: Isolation;
  readonly #headSlice: Slice = emptySlice();

  constructor({ table, entries, unsettled, subscriptions, seeking, isolation }: LineFrontParts) {
    this.#table = table;
    this.#entries = entries;
    this.#unsettled = unsettled;
    this.#subscriptions = subscriptions;
    this.#seeking = seeking;
    this.#isolation = isolation;
  }

  /** What to deliver next; undefined also if it must be looked up first. */
  peek(slot: number): Slice | undefined {
    const subscription = this.#subscriptions.get(slot);
    if (subscription === undefined) return this.#peekLine(undefined, slot);
    const { suspects } = subscription;
    const suspect = suspects?.peek();
    if (suspect !== undefined && !suspects!.isAll) return suspect;
    for (;;) {
      const next = this.#peekLine(subscription, slot);
      if (suspect !== undefined && !(next !== undefined && next.sequence < suspect.sequence)) {
        const sought = next === undefined ? soughtNext(subscription) : 0;
        // What stands first may have to be looked up, though suspects are at hand.
        return sought > 0 && sought < suspect.sequence ? undefined : suspect;
      }
      if (next === undefined || next.level === 0) return next;
      if (!this.#isolation.takes(subscription)) return next;
      const apart = { ...next };
      this.pass(next, next.count);
      this.#isolation.add(subscription, apart);
    }
  }

  #peekLine(subscription: Subscription<unknown> | undefined, slot: number): Slice | undefined {
    if (subscription !== undefined) {
      if (subscription.sought !== undefined && this.#seeking.bringUp(subscription) > 0)
        return undefined;
      const requeued = subscription.requeued.peek();
      if (requeued !== undefined) return requeued;
      if (subscription.aheadAt < subscription.ahead.length)
        return subscription.ahead[subscription.aheadAt];
    }
    const page = this.#table.page(slot);
    const isOlder = (page.words[wordsAt(slot) + FLAGS]! & OLDER) !== 0;
    return isOlder ? undefined : this.#peekHead(page, slot);
  }

  #peekHead(page: Page, slot: number): Slice | undefined {
    const entries = this.#entries;
    const slice = this.#headSlice;
    const at = wordsAt(slot);
    const rewound = (page.words[at + FLAGS]! & REWOUND) !== 0;
    for (;;) {
      const entry = page.numbers[numbersAt(slot) + HEAD]!;
      if (entry === 0) {
        if (rewound) page.words[at + FLAGS]! &= ~REWOUND;
        return undefined;
      }
      slice.slot = slot;
      entries.read(entry, page.words[at + TAKEN]!, slice);
      slice.level = 0;
      if (this.#unsettled.cut(slice, rewound)) return slice;
      advance(page, slot, entries.next(entry));
    }
  }

  /** The first `count` messages of the slice that `peek` gave leave the line, which goes on. */
  pass(slice: Slice, count: number): void {
    const { slot } = slice;
    const page = this.#table.page(slot);
    assert(count > 0 && count <= slice.count, 'more was taken than there is');
    const isHead = slice === this.#headSlice;
    const subscription = isHead ? undefined : this.#subscriptions.get(slot);
    const isSuspect = subscription?.suspects?.peek() === slice;
    const isRequeued = !isSuspect && subscription?.requeued.peek() === slice;
    const isAhead = subscription?.ahead[subscription.aheadAt] === slice;
    assert(
      isHead || isSuspect || isRequeued || isAhead,
      'a slice was taken that is not the next one',
    );
    const { numbers, words } = page;
    slice.first += count;
    slice.sequence += count;
    slice.count -= count;
    if (isHead || (isAhead && !isSuspect && !isRequeued))
      numbers[numbersAt(slot) + NEXT] = slice.sequence;
    if (isHead) {
      const entry = numbers[numbersAt(slot) + HEAD]!;
      const entries = this.#entries;
      if (slice.first === entries.count(entry)) advance(page, slot, entries.next(entry));
      else words[wordsAt(slot) + TAKEN] = slice.first;
    } else if (slice.count === 0) {
      if (isSuspect) this.#isolation.pop(subscription!, slice);
      else if (isRequeued) subscription!.requeued.pop();
      else subscription!.aheadAt++;
    }
  }
}
