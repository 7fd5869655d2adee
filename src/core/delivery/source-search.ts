// Looks for sources of virtual buckets that nobody knows to have something: after a start, when the
// rules have changed, and when buckets were forgotten. Goes over the known buckets first, then over
// the indexes of segments that hold something, oldest first, a slice a turn; who is found joins its
// ring. So many wait there for their first turn at most; then the search pauses until half of them
// had it. If it had to, whoever has had its turn and has more stays out of the ring until the next
// round, so that all come in turns, however many there are, and memory stays flat.
//
//   begin ──► known buckets ──► segments … ──► done, or the next round
//                  └─────────┴── enough wait: paused, until half of them had their turn

import { KIND_LIVE } from '../../../assembly/layout-placed.ts';
import { SlotSet } from '../buckets/slot-set.ts';
import type { SourceRing } from '../buckets/source-ring.ts';
import type { Failure, Found, Position } from '../ports/basics.ts';
import { notSearched } from './notices.ts';
import type { SourceSearchOptions, SourceSearchParts } from './search-parts.ts';

/** Sources that wait for their first turn at most, unless fewer buckets are remembered. */
export const FOUND_MAX = 65_536;
/** Slots looked at in one turn. */
const SLOTS_MAX = 4096;
/** From the beginning of a round to the next one, if nothing was delivered meanwhile. */
const ROUND_MS = 1000;

type Phase = 'none' | 'known' | 'segments';

export class SourceSearch {
  readonly #parts: SourceSearchParts;
  readonly #options: SourceSearchOptions;
  #phase: Phase = 'none';
  #isWanted = false;
  #slot = 1;
  // The segment that is next, and how many records of it were looked at.
  #base: Position = 0;
  #seen = 0;
  #isVisiting = false;
  #visits = 0;
  #isFresh = false;
  // Those that wait for their first turn, and whether there were enough, now and in this round.
  readonly #found = new SlotSet();
  #most: number;
  #isFull = false;
  #wasFull = false;
  #tries = 0;
  // When a round may begin if nothing was delivered since the last one began.
  #nextMs = 0;
  #delivered = 0;

  constructor(parts: SourceSearchParts, options: SourceSearchOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#most = options.most;
  }

  /** Monotonic time at which it goes on, if nothing happens before. */
  get dueMs(): number {
    const waits = this.#phase === 'none' && this.#isWanted && !this.#goesOn;
    const isServed = waits && this.#parts.dispatcher.virtual.isServed;
    return isServed ? this.#nextMs : Number.POSITIVE_INFINITY;
  }

  /** Whether it goes on when there is room, or somebody to search for. */
  get isBusy(): boolean {
    return this.#phase !== 'none' || this.#isWanted;
  }

  /** All have to be looked at, once more if that was begun. */
  begin(): void {
    this.#isWanted = true;
    this.goOn();
  }

  /** Nobody is in a ring any more: what was found counts for nothing. */
  beginAnew(): void {
    this.#found.clear();
    this.#isFull = false;
    this.#phase = 'none';
    this.#nextMs = 0;
    this.#visits++;
    this.begin();
  }

  /** Time has passed, or somebody consumes a virtual bucket. */
  goOn(): void {
    if (this.#goesOn) this.#parts.flushSoon();
  }

  /** A source is not known any more; `isLeft`: it may have messages. */
  forgotten(slot: number, isLeft: boolean): void {
    this.#isWanted ||= isLeft;
    if (this.#found.delete(slot)) {
      // There is room for no more: who comes would take the place of one that waits.
      this.#most = Math.max(1, this.#found.size);
      this.#isFull = this.#found.size >= this.#most;
      this.#wasFull ||= this.#isFull;
    } else if (!isLeft) return; // one that is empty is no reason to look for others
    this.goOn();
  }

  /** A source has had its turn and has more: whether it is to stay out of its ring for now. */
  rests(slot: number): boolean {
    this.left(slot);
    if (this.#wasFull) this.#isWanted = true;
    return this.#wasFull;
  }

  /** A source has had its turn, or left its ring before. */
  left(slot: number): void {
    if (!this.#found.delete(slot) || !this.#isFull) return;
    this.#isFull = this.#found.size > this.#most / 2;
    this.goOn();
  }

  /** A bucket that may not be known has something; gives its slot, 0 if it is no source. */
  open(low: number, high: number): number {
    const { buckets } = this.#parts;
    const isSource = buckets.sources.isOn && buckets.sources.ringFor(low, high) !== undefined;
    return isSource ? buckets.open(low, high) : 0;
  }

  /** Others had their turn: goes on. */
  turn(): void {
    if (this.#goesOn) {
      if (this.#phase === 'none') this.#beginRound();
      if (this.#phase === 'known') this.#lookAtKnown();
      if (this.#phase === 'segments' && !this.#pauses) this.#lookAtSegment();
      if (this.#goesOn) this.#parts.flushSoon();
    }
    if (this.#isFresh) this.#serve();
  }

  get #goesOn(): boolean {
    const { closing, dispatcher } = this.#parts;
    if (!this.isBusy || this.#isVisiting || this.#pauses || closing) return false;
    return dispatcher.virtual.isServed && (this.#phase !== 'none' || this.#mayBegin);
  }

  // Enough wait. Consumers to whom none of these can be given are not kept waiting by that.
  get #pauses(): boolean {
    if (!this.#isFull) return false;
    for (const ring of this.#parts.buckets.sources.rings) if (this.#isFor(ring)) return false;
    return true;
  }

  #isFor(ring: SourceRing): boolean {
    return !this.#isFull || this.#parts.dispatcher.virtual.starves(ring);
  }

  // Rounds of which nobody is given anything come seldom.
  get #mayBegin(): boolean {
    const { buckets, counters } = this.#parts;
    return buckets.rates.nowMs >= this.#nextMs || counters.deliveredMessages > this.#delivered;
  }

  #beginRound(): void {
    const { buckets, counters } = this.#parts;
    this.#phase = 'known';
    this.#isWanted = false;
    this.#wasFull = false;
    this.#most = this.#options.most;
    this.#slot = 1;
    this.#nextMs = buckets.rates.nowMs + ROUND_MS;
    this.#delivered = counters.deliveredMessages;
  }

  #lookAtKnown(): void {
    const { buckets } = this.#parts;
    const { sources } = buckets;
    const end = Math.min(this.#slot + SLOTS_MAX, buckets.slotsEnd);
    for (; this.#slot < end && !this.#pauses; this.#slot++) {
      const slot = this.#slot;
      if (!buckets.inUse(slot)) continue;
      sources.wake(slot);
      const ring = sources.ringOf(slot);
      if (ring !== undefined) this.#add(slot, ring);
    }
    if (this.#slot < buckets.slotsEnd) return;
    this.#phase = buckets.isPartial ? 'segments' : 'none';
    this.#goTo(0);
  }

  // A strict order is one of all, so none of its sources has to wait for others to be found.
  #add(slot: number, ring: SourceRing): void {
    if (!this.#isFor(ring)) {
      this.#isWanted = true; // it is for another round
      return;
    }
    if (!this.#parts.dispatcher.virtual.touch(slot, ring)) return;
    if (!this.#isFresh) this.#parts.flushSoon();
    this.#isFresh = true;
    if (ring.order === 'strict') return;
    this.#found.add(slot);
    if (this.#found.size < this.#most) return;
    this.#isFull = true;
    this.#wasFull = true;
  }

  #lookAtSegment(): void {
    const { retention } = this.#parts;
    const { index, memoryFrom } = this.#options;
    const segment = retention.oldestLive(this.#base);
    if (segment === undefined || segment.base >= memoryFrom()) {
      this.#phase = 'none';
      return;
    }
    const { base } = segment;
    if (base !== this.#base) this.#seen = 0;
    this.#base = base;
    this.#isVisiting = true;
    const visit = ++this.#visits;
    let at = 0;
    index.visit(
      base,
      (low, high, found) => {
        // What is not looked at now is so when the search goes on.
        if (at++ !== this.#seen || visit !== this.#visits || this.#pauses) return;
        this.#seen++;
        this.#look(low, high, found);
      },
      (failure) => {
        this.#isVisiting = false;
        if (visit === this.#visits) this.#visited(base, failure, at === this.#seen);
        this.goOn();
      },
    );
  }

  #look(low: number, high: number, { kind, sequence, messages }: Found): void {
    if (kind !== KIND_LIVE) return;
    const { buckets } = this.#parts;
    const ring = buckets.sources.ringFor(low, high);
    if (ring === undefined) return;
    if (!this.#isFor(ring)) {
      this.#isWanted = true;
      return;
    }
    const known = buckets.find(low, high);
    if (known === 0 && !buckets.indexed.hasReady(sequence, messages)) return;
    this.#add(known === 0 ? buckets.open(low, high) : known, ring);
  }

  #visited(base: Position, failure: Failure, isAll: boolean): void {
    const { closing, retention } = this.#parts;
    const isBad = failure !== undefined && !closing && retention.has(base);
    // It goes on there where it paused.
    if (isBad) this.#makeIndex(base);
    else if (failure !== undefined || isAll) this.#goTo(base + 1);
    else this.#tries = 0;
  }

  #goTo(base: Position): void {
    this.#tries = 0;
    this.#base = base;
    this.#seen = 0;
  }

  // An index is a cache. It is asked for, which waits while it is replaced, then made again, then
  // left to another round. Something is wrong only if its segment does not yield one.
  #makeIndex(base: Position): void {
    this.#seen = 0;
    if (this.#tries === 2) {
      this.#isWanted = true;
      this.#goTo(base + 1);
      return;
    }
    this.#isVisiting = true;
    const visit = this.#visits;
    const made = (failure?: Error) => {
      this.#isVisiting = false;
      if (failure !== undefined && visit === this.#visits) this.#notMade(base, failure);
      this.goOn();
    };
    const query = { base, low: 0, high: 0, kind: KIND_LIVE, sequence: 0, at: 0 };
    if (this.#tries++ === 0) this.#options.index.find(query, 1, () => made());
    else this.#options.index.remake(base, made);
  }

  #notMade(base: Position, failure: Error): void {
    const { closing, notices, retention } = this.#parts;
    if (closing || !retention.has(base)) return;
    notices.notice('error', 'log.unreadable', notSearched(base, failure), { position: base });
    this.#goTo(base + 1);
  }

  /** The segments from `base` to before `end` are one now: what is in them is looked at again. */
  merged(base: Position, end: Position): void {
    if (this.#phase !== 'segments' || this.#base < base || this.#base >= end) return;
    this.#visits++;
    this.#goTo(base);
  }

  // Who was found is given to consumers that wait.
  #serve(): void {
    this.#isFresh = false;
    for (const { slot, count } of [...this.#parts.buckets.sources.rings])
      if (slot !== 0 && count > 0) this.#parts.dispatch(slot);
  }
}
