// The front of each line: what comes next in it, and how the line goes on when that leaves it.
// Suspects that are met in the line of a bucket that somebody consumes are put apart there. Where
// nobody does, the next record may be known of a line that has to look into indexes: one at a time.

import { assert } from '../assert.ts';
import type { Found } from '../ports/basics.ts';
import {
  advance,
  type BucketTable,
  COUNTED,
  countsAt,
  FLAGS,
  HEAD,
  NEXT,
  numbersAt,
  OLDER,
  type Page,
  READY,
  REWOUND,
  TAKEN,
  wordsAt,
} from './bucket-table.ts';
import type { Entries } from './entries.ts';
import type { Isolation } from './isolation.ts';
import type { PayloadCounts } from './payload-counts.ts';
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
  readonly payload: PayloadCounts;
}

export class LineFront {
  readonly #table: BucketTable;
  readonly #entries: Entries;
  readonly #unsettled: Unsettled;
  readonly #subscriptions: LineFrontParts['subscriptions'];
  readonly #seeking: Seeking;
  readonly #isolation: Isolation;
  readonly #payload: PayloadCounts;
  readonly #headSlice: Slice = emptySlice();
  // What stands next in indexes, of the line of a slot; 0: of none.
  readonly #olderSlice: Slice = emptySlice();
  #older = 0;

  constructor(parts: LineFrontParts) {
    this.#table = parts.table;
    this.#entries = parts.entries;
    this.#unsettled = parts.unsettled;
    this.#subscriptions = parts.subscriptions;
    this.#seeking = parts.seeking;
    this.#isolation = parts.isolation;
    this.#payload = parts.payload;
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
    if (!isOlder) return this.#peekHead(page, slot);
    const isKnown = this.#older === slot && subscription === undefined;
    return isKnown ? this.#olderSlice : undefined;
  }

  /**
   * Of a line that nobody consumes, which has to look into indexes, the next record is this one:
   * `peek` gives what is ready of it until it is taken, or until `forget`. False: it is not as plain
   * as that, as of the next message something is known already.
   */
  knows(slot: number, { position, sequence, messages, bodyBytes, attempts }: Found): boolean {
    const page = this.#table.page(slot);
    const isOlder = (page.words[wordsAt(slot) + FLAGS]! & OLDER) !== 0;
    if (!isOlder || this.#subscriptions.has(slot)) return false;
    const next = Math.max(sequence, page.numbers[numbersAt(slot) + NEXT]!);
    const slice = this.#olderSlice;
    slice.slot = slot;
    slice.position = position;
    slice.sequence = next;
    slice.first = next - sequence;
    slice.count = messages - slice.first;
    slice.messages = messages;
    slice.bodyBytes = bodyBytes;
    slice.attempts = attempts;
    slice.level = 0;
    this.#older = 0;
    if (!this.#unsettled.cut(slice, true) || slice.sequence > next || slice.level > 0) return false;
    this.#older = slot;
    return true;
  }

  /** What `knows` was told is not so any more, or may not be. */
  forget(): void {
    this.#older = 0;
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

  // What is known only from indexes may not be counted as ready: it is, from when it is found.
  #count({ counts, words }: Page, slice: Slice, count: number): void {
    const { slot } = slice;
    if ((words[wordsAt(slot) + FLAGS]! & COUNTED) !== 0) return;
    counts[countsAt(slot) + READY]! += count;
    const payload = this.#payload;
    if (payload.isOn) payload.add(slot, payload.ofPart(slice, 0, count));
  }

  /** The first `count` messages of the slice that `peek` gave leave the line, which goes on. */
  pass(slice: Slice, count: number): void {
    const { slot } = slice;
    const page = this.#table.page(slot);
    assert(count > 0 && count <= slice.count, 'more was taken than there is');
    const isHead = slice === this.#headSlice;
    const isOlder = slice === this.#olderSlice;
    const subscription = isHead || isOlder ? undefined : this.#subscriptions.get(slot);
    const isSuspect = subscription?.suspects?.peek() === slice;
    const isRequeued = !isSuspect && subscription?.requeued.peek() === slice;
    const isAhead = subscription?.ahead[subscription.aheadAt] === slice;
    assert(
      isHead || isOlder || isSuspect || isRequeued || isAhead,
      'a slice was taken that is not the next one',
    );
    const { numbers, words } = page;
    if (isOlder) this.#count(page, slice, count);
    slice.first += count;
    slice.sequence += count;
    slice.count -= count;
    if (isHead || isOlder || (isAhead && !isSuspect && !isRequeued))
      numbers[numbersAt(slot) + NEXT] = slice.sequence;
    if (isHead) {
      const entry = numbers[numbersAt(slot) + HEAD]!;
      const entries = this.#entries;
      if (slice.first === entries.count(entry)) advance(page, slot, entries.next(entry));
      else words[wordsAt(slot) + TAKEN] = slice.first;
    } else if (isOlder) {
      this.#older = 0;
    } else if (slice.count === 0) {
      if (isSuspect) this.#isolation.pop(subscription!, slice);
      else if (isRequeued) subscription!.requeued.pop();
      else subscription!.aheadAt++;
    }
  }
}
