// Finds what waited longer than it may where nobody comes to it: in buckets that nobody consumes,
// that are held back or not known any more; among what waits for a time; among the dead. It goes
// through the segments, oldest first, a little in each tick, and looks at each again when something
// in it may expire: no message is looked at before that, and none is kept track of.
//
//   entries, index of a segment ──► line with an expired message ──► taken over, until what comes
//                                                                   next in it is young
//
// What becomes of expired messages is decided in dying.ts, as for those that consumers come to.

import type { Buckets } from '../buckets/buckets.ts';
import type { Commit } from '../commit/commit.ts';
import type { Position } from '../ports/basics.ts';
import type { SegmentIndex } from '../ports/segment-index.ts';
import type { Indexing } from '../segments/indexing.ts';
import type { Retention } from '../segments/retention.ts';
import type { Line } from './destination.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { Dying } from './dying.ts';
import type { Expiry } from './expiry.ts';
import type { Firing } from './firing.ts';

/** The parts of the broker that it asks. */
export interface SweeperParts {
  readonly buckets: Buckets<unknown>;
  readonly retention: Pick<Retention, 'has' | 'live' | 'segments'>;
  readonly indexing: Pick<Indexing, 'memoryFrom'>;
  readonly maintenance: { readonly waiting: { readonly firing: Pick<Firing, 'ready'> } };
  readonly commit: Pick<Commit, 'waitingMarks'>;
  readonly dispatcher: Pick<Dispatcher, 'dispatch' | 'lookup' | 'occupy' | 'release'>;
  readonly dying: Pick<Dying, 'clear'>;
  readonly closing: boolean;
  stir(): void;
}

export interface SweeperOptions {
  expiry: Expiry;
  index: Pick<SegmentIndex, 'visit'>;
}

// Between two rounds, at least: a share of the shortest time that rules let messages wait.
const PAUSE_SHARE = 1 / 4;
const PAUSE_MIN_MS = 1000;
const PAUSE_MAX_MS = 60_000;
// In one tick: entries gone through, and lines begun; at a time, lines that are taken over.
const ENTRIES_MAX = 16_384;
const BEGUN_MAX = 512;
const LINES_MAX = 16;
// Lines that are found before they are gone into, and messages that are made ready with them.
const FOUND_MAX = 16_384;
const READY_MAX = 65_536;
// Marks that may wait to be written.
const MARKS_MAX = 65_536;

/** Of the entries in memory, among the segments. */
const MEMORY = -1;

export class Sweeper {
  readonly #parts: SweeperParts;
  readonly #options: SweeperOptions;
  // When something of a segment may expire next, by the wall clock.
  #nextMs = new Map<Position, number>();
  // What of this round is still to be looked at, and how far the first of them is done.
  #round: Position[] = [];
  #at = 0;
  #isVisiting = false;
  #isMoved = false;
  #earliestMs = 0;
  #readied = 0;
  readonly #found: Line[] = [];
  readonly #taken = new Map<number, () => void>();
  // Lines that wait for marks to be written.
  readonly #later = new Set<number>();
  #wallMs = 0;
  #isSwept = false;
  #dueMs = 0;

  constructor(parts: SweeperParts, options: SweeperOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  /** Other rules are in force: all is looked at again. */
  use(): void {
    this.#nextMs.clear();
    this.#dueMs = 0;
  }

  /** The segments from `base` to before `end` are one now, to be looked at from its beginning. */
  merged(base: Position, end: Position): void {
    const isIn = (each: Position) => each >= base && each < end;
    for (const each of this.#nextMs.keys()) if (isIn(each)) this.#nextMs.delete(each);
    if (this.#round.length === 0) return;
    if (isIn(this.#round[0]!)) {
      this.#isMoved = true;
      this.#at = 0;
    }
    this.#round = this.#round.filter((each) => !isIn(each));
  }

  /** Whether it has taken over a bucket's line. */
  holds(slot: number): boolean {
    return this.#taken.has(slot);
  }

  /** Whether there is more to do in each tick. */
  get isBusy(): boolean {
    return this.#round.length > 0 || this.#found.length > 0 || this.#later.size > 0;
  }

  /** In monotonic ms, when `advance` has something to do next. */
  get dueMs(): number {
    const isIdle = !this.#options.expiry.isOn || this.#parts.retention.live === 0;
    return isIdle ? Number.POSITIVE_INFINITY : this.#dueMs;
  }

  /** Monotonic time: goes on. */
  advance(nowMs: number): void {
    if (this.#parts.closing || this.#isVisiting) return;
    const { expiry } = this.#options;
    if (this.isBusy) this.#wallMs = expiry.look();
    else if (nowMs < this.dueMs) return;
    else this.#begin(nowMs);
    for (const slot of [...this.#later]) this.#parts.dispatcher.dispatch(slot);
    this.#take();
    if (this.#found.length === 0 && this.#taken.size === 0 && this.#later.size === 0) this.#look();
  }

  // --- rounds -----------------------------------------------------------------------------------

  #begin(nowMs: number): void {
    const { expiry } = this.#options;
    const { indexing, retention } = this.#parts;
    const wallMs = expiry.look();
    // The clock was set back: what came since may expire before what was looked at.
    if (wallMs < this.#wallMs) this.#nextMs.clear();
    this.#wallMs = wallMs;
    const pauseMs = Math.max(PAUSE_MIN_MS, Math.min(PAUSE_MAX_MS, expiry.leastMs * PAUSE_SHARE));
    this.#dueMs = nowMs + pauseMs;
    const before = this.#nextMs;
    this.#nextMs = new Map([[MEMORY, before.get(MEMORY) ?? 0]]);
    for (const [i, { base, first, live }] of retention.segments.entries()) {
      if (live === 0 || base >= indexing.memoryFrom) continue;
      const end = retention.segments[i + 1]!.first;
      const nextMs = before.get(base) ?? expiry.earliestMs(first, end);
      this.#nextMs.set(base, nextMs);
      if (nextMs <= this.#wallMs) this.#round.push(base);
    }
    if (this.#nextMs.get(MEMORY)! <= this.#wallMs) this.#round.push(MEMORY);
    this.#at = 0;
    this.#earliestMs = Number.POSITIVE_INFINITY;
  }

  // Goes on with the first segment of the round.
  #look(): void {
    const [base] = this.#round;
    if (base === undefined) return;
    this.#readied = 0;
    this.#isSwept = true;
    if (base === MEMORY) this.#lookIntoEntries();
    else if (!this.#parts.retention.has(base)) this.#looked(base, Number.POSITIVE_INFINITY);
    else this.#visit(base);
  }

  #lookIntoEntries(): void {
    const { entries } = this.#parts.buckets;
    // They are in the order of the log: `#at` is the sequence up to which they were looked at.
    let entry = entries.at(this.#at);
    for (let i = 0; i < ENTRIES_MAX && entry < entries.end && this.#isSwept; i++, entry++) {
      const [sequence, count] = [entries.sequence(entry), entries.count(entry)];
      const [low, high] = [entries.bucketLow(entry), entries.bucketHigh(entry)];
      this.#record(low, high, entries.kind(entry), sequence, count);
      if (this.#isSwept) this.#at = sequence + count;
    }
    if (entry < entries.end) return;
    // What comes meanwhile does not expire before this.
    const { leastMs } = this.#options.expiry;
    this.#looked(MEMORY, Math.min(this.#earliestMs, this.#wallMs + leastMs));
  }

  // An index is gone through from its beginning on: `#at` is how many records were looked at.
  #visit(base: Position): void {
    const { index } = this.#options;
    this.#isVisiting = true;
    this.#isMoved = false;
    let seen = 0;
    index.visit(
      base,
      (low, high, { kind, sequence, messages }) => {
        if (seen++ < this.#at || !this.#isSwept) return;
        this.#record(low, high, kind, sequence, messages);
        if (this.#isSwept) this.#at = seen;
      },
      (failure) => {
        this.#parts.stir();
        this.#isVisiting = false;
        // It may be another one meanwhile, or given back; else it is tried again.
        if (this.#isMoved) return;
        if (failure !== undefined) this.#looked(base, this.#wallMs + PAUSE_MAX_MS);
        else if (this.#isSwept) this.#looked(base, this.#earliestMs);
      },
    );
  }

  // All of it was looked at.
  #looked(base: Position, nextMs: number): void {
    this.#nextMs.set(base, nextMs);
    this.#round.shift();
    this.#at = 0;
    this.#earliestMs = Number.POSITIVE_INFINITY;
  }

  // A record of messages: `#isSwept` is false if there is no room for what is in it.
  #record(low: number, high: number, kind: number, sequence: number, count: number): void {
    const { expiry } = this.#options;
    const { settled } = this.#parts.buckets.outcomes;
    const keptMs = expiry.keptMs(low, high, kind);
    if (keptMs === Number.POSITIVE_INFINITY) return;
    const expiresMs = expiry.expiresMs(sequence, keptMs);
    if (expiresMs < this.#earliestMs && settled.within(sequence, count) < count)
      this.#earliestMs = expiresMs;
    if (expiresMs > this.#wallMs || settled.within(sequence, count) === count) return;
    if (this.#found.length >= FOUND_MAX || this.#readied >= READY_MAX) {
      this.#isSwept = false;
      return;
    }
    this.#makeReady(low, high, kind, sequence, count);
    const last = this.#found.at(-1);
    if (last?.low === low && last.high === high && last.kind === kind) return;
    this.#found.push({ low, high, kind });
  }

  // What waits for a time stands in its line then, and is not given to anybody, as it is expired.
  #makeReady(low: number, high: number, kind: number, sequence: number, count: number): void {
    const { buckets, maintenance } = this.#parts;
    const { settled, turns, waiting } = buckets.outcomes;
    if (waiting.within(sequence, count) === 0) return;
    const end = sequence + count;
    for (let at = sequence; at < end; ) {
      const turn = turns.get(at);
      let to = at;
      while (to < end && waiting.has(to) && turns.get(to) === turn && !settled.has(to)) to++;
      if (to > at) maintenance.waiting.firing.ready(low, high, kind, at, to - at);
      this.#readied += to - at;
      at = Math.max(to, at + 1);
    }
  }

  // --- lines ------------------------------------------------------------------------------------

  // Takes over lines, as far as there is room.
  #take(): void {
    const { buckets, dispatcher } = this.#parts;
    for (let begun = 0; begun < BEGUN_MAX && this.#taken.size < LINES_MAX; begun++) {
      const line = this.#found.pop();
      if (line === undefined) return;
      const slot = buckets.open(line.low, line.high, line.kind);
      if (this.#taken.has(slot)) continue;
      const taker = () => this.#clear(slot);
      this.#taken.set(slot, taker);
      dispatcher.occupy(slot, taker);
      // Others may have it before.
      dispatcher.dispatch(slot);
    }
  }

  #clear(slot: number): void {
    const { closing, commit, dying } = this.#parts;
    if (closing) return;
    this.#later.delete(slot);
    if (commit.waitingMarks >= MARKS_MAX) {
      this.#later.add(slot);
      return;
    }
    for (;;) {
      const head = dying.clear(slot);
      // It is dispatched again when there is room.
      if (head === 'waits') return;
      if (head === 'alive' || !this.#isMore(slot)) break;
      if (this.#parts.buckets.subscription(slot)?.loading === true) return;
    }
    this.#leave(slot);
  }

  // Nothing of a line is in memory: whether there is more of it, which may be looked up first.
  #isMore(slot: number): boolean {
    const { buckets, dispatcher } = this.#parts;
    const isSought = buckets.subscription(slot)?.sought !== undefined;
    if (!isSought && !buckets.headOf(slot).isOlder) return false;
    dispatcher.lookup(slot);
    return buckets.subscription(slot)?.loading === true || buckets.peek(slot) !== undefined;
  }

  #leave(slot: number): void {
    const taker = this.#taken.get(slot)!;
    this.#taken.delete(slot);
    this.#parts.dispatcher.release(slot, taker);
  }
}
