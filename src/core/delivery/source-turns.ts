// Which source of a virtual bucket is next, and with how many messages; what keeps one back. What
// is on disk is looked up when its source is next, for a few at a time. Meanwhile that is out of
// the ring, and then it is next again.
//
// Suspects go apart from the rest here, too: a delivery is of one level, whatever it is from.

import type { Buckets } from '../buckets/buckets.ts';
import type { Slice } from '../buckets/slice.ts';
import type { SourceRing } from '../buckets/source-ring.ts';
import type { Subscription } from '../buckets/subscription.ts';
import type { Position } from '../ports/basics.ts';
import type { DeliveryLimits } from './delivery-limits.ts';
import type { Dying } from './dying.ts';
import type { InFlight } from './in-flight.ts';
import type { Receiver } from './receiver.ts';
import type { RecordFetch } from './record-fetch.ts';
import type { SourceSearch } from './source-search.ts';
import type { WatchedSources } from './watched-sources.ts';

export interface SourceTurnsParts {
  readonly buckets: Buckets<Receiver>;
  readonly limitsOfRules: DeliveryLimits | undefined;
  readonly dying: Pick<Dying, 'isPossible' | 'clear'>;
  /** Looks for sources that are not known. */
  readonly maintenance: { readonly search: SourceSearch };
}

/** What lines are given out by. */
export interface Lines {
  readonly records: Pick<RecordFetch, 'placeOf' | 'fetch'>;
  /** Gives a bucket's own consumers what is ready. */
  serve(slot: number): void;
  /** Looks up what comes next in a line. */
  lookup(slot: number): void;
  /** The same of one that nobody consumes, as far as it is in memory: whether it is. */
  glance(slot: number): boolean;
  /** Whether somebody takes its line instead of its consumers; who that is is told, if so. */
  isTaken(slot: number): boolean;
  tellTaker(slot: number): void;
  isPaused(slot: number): boolean;
  /** Whether deliveries wait for room; then the bucket is dispatched later. */
  isStarved(slot: number): boolean;
  /** Whether part of a line can be looked up neither in memory nor in indexes just now. */
  releasing(): boolean;
}

/** In place of a record's: it is being read, and others may go on. */
export const READING = -2;

/** Sources of which something is read at a time, for a virtual bucket. */
const READING_MAX = 64;
/** Sources looked at for more suspects of the level of a delivery. */
const LOOKS_MAX = 64;

/** Why nothing is taken of a source: there is nothing; a limit, or others, keep it back; what is
 * next is being looked up; it can be looked up only later; too much is being read already. */
type Nothing = 'empty' | 'kept' | 'reading' | 'stalled' | 'full';

export class SourceTurns {
  readonly #parts: SourceTurnsParts;
  readonly #lines: Lines;
  readonly #watched: WatchedSources;

  constructor(parts: SourceTurnsParts, lines: Lines, watched: WatchedSources) {
    this.#parts = parts;
    this.#lines = lines;
    this.#watched = watched;
  }

  /** What is next for a virtual bucket; `held`: what is in its delivery already. */
  next(ring: SourceRing, held: Pick<InFlight, 'count' | 'level'>): Slice | undefined {
    const consumers = this.#parts.buckets.subscription(ring.slot)?.consumers ?? 0;
    const isFirst = held.count === 0;
    if (isFirst) ring.isApart = !ring.wasApart && ring.mayBeApart(consumers);
    if (ring.isApart) {
      const suspect = this.#suspect(ring, isFirst ? 0 : held.level);
      if (suspect !== undefined || !isFirst) return suspect;
      ring.isApart = false;
    }
    const part = this.#rest(ring);
    if (part !== undefined || !isFirst) return part;
    // Nothing else is there; what is being read may be.
    if (ring.reading.size > 0 && !ring.mayBeApart(consumers)) return undefined;
    ring.isApart = true;
    return this.#suspect(ring, 0);
  }

  // The next suspect of a level, 0: of the level that comes first.
  #suspect(ring: SourceRing, level: number): Slice | undefined {
    let looks = 0;
    for (const slot of ring.apart) {
      if (level > 0 && ++looks > LOOKS_MAX) return undefined;
      const part = this.#suspectOf(ring, slot, level);
      if (part === 'kept') ring.apart.delete(slot);
      else if (part !== undefined) return part;
    }
    return undefined;
  }

  #suspectOf(ring: SourceRing, slot: number, level: number): Slice | 'kept' | undefined {
    const { buckets, limitsOfRules } = this.#parts;
    const share = buckets.subscription(slot);
    const suspects = share?.suspects;
    if (suspects === undefined || suspects.size === 0) return 'kept';
    if (this.#mostOf(ring, slot) === 0) return 'kept';
    const inOrder = limitsOfRules!.isInOrder(slot);
    if (inOrder) {
      suspects.others();
      const rest = buckets.peek(slot);
      if (rest !== undefined && rest.sequence < suspects.first()!.sequence) return 'kept';
    }
    if (!suspects.only(level, inOrder)) return undefined;
    if (!buckets.isolation.isNext(share!)) {
      suspects.others();
      return undefined;
    }
    const part = this.#alive(slot);
    ring.room = this.#mostOf(ring, slot);
    if (part === 'kept' || ring.room === 0) return 'kept';
    return part === 'empty' ? undefined : part;
  }

  // The next message of the source that is next and has one.
  #rest(ring: SourceRing): Slice | undefined {
    for (;;) {
      const slot = ring.first;
      if (slot === 0) return undefined;
      const part = this.#mostOf(ring, slot) === 0 ? 'kept' : this.#head(ring, slot);
      if (part === 'full') return undefined;
      // What was dead in its line is out, too, and may be all that may be.
      const most = typeof part === 'string' ? 0 : this.#mostOf(ring, slot);
      if (typeof part !== 'string' && most > 0) {
        if (ring.left <= 0) ring.left = this.#parts.buckets.sources.quantumOf(ring, slot);
        // Where it is alone, nobody else has a turn.
        ring.room = ring.count === 1 ? most : Math.min(most, ring.left);
        return part;
      }
      this.#leave(ring, slot);
      if (part === 'reading') ring.reading.add(slot);
      else if (part === 'stalled') ring.stalled.add(slot);
      else if (part === 'empty') this.#watched.tidy(slot);
    }
  }

  #leave(ring: SourceRing, slot: number): void {
    this.#parts.buckets.sources.remove(ring, slot);
    this.#parts.maintenance.search.left(slot);
  }

  // How many messages a source may give now.
  #mostOf(ring: SourceRing, slot: number): number {
    if (this.#lines.isTaken(slot) || this.#lines.isPaused(slot)) return 0;
    return this.#parts.limitsOfRules!.mostOfSource(slot, slot === ring.slot);
  }

  // What comes next in the line of a source, but for suspects that are apart.
  #head(ring: SourceRing, slot: number): Slice | Nothing {
    const { buckets } = this.#parts;
    let share = buckets.subscription(slot);
    if (share === undefined && this.#isGlanceDue(slot)) this.#lines.glance(slot);
    let part = this.#restOf(ring, slot, share);
    // Suspects that the line meets are put apart where the source is watched.
    if (part === 'empty' || (part !== 'kept' && part.level > 0 && share === undefined)) {
      if (part === 'empty' && !this.#isOnDisk(slot, share)) return 'empty';
      if (ring.reading.size >= READING_MAX) return 'full';
      share = this.#watched.add(ring, slot);
      this.#lines.lookup(slot);
      part = this.#restOf(ring, slot, share);
      if (part === 'empty' && share.loading) return 'reading';
      if (part === 'empty' && this.#isOnDisk(slot, share)) return 'stalled';
    }
    return part;
  }

  // Whether to look into indexes in memory before somebody has to watch a source for that. Where
  // order is kept, who watches knows what of it waits for a time.
  #isGlanceDue(slot: number): boolean {
    const { buckets, limitsOfRules } = this.#parts;
    return buckets.isOlder(slot) && !limitsOfRules!.isInOrder(slot);
  }

  // The same, as far as it is at hand. Where order is kept, suspects that stand first go first.
  #restOf(
    ring: SourceRing,
    slot: number,
    share: Subscription<Receiver> | undefined,
  ): Slice | 'empty' | 'kept' {
    const { buckets, limitsOfRules } = this.#parts;
    share?.suspects?.others();
    const rest = share === undefined ? undefined : buckets.peek(slot);
    const suspect = share?.suspects?.first();
    if (suspect === undefined) return this.#alive(slot);
    ring.apart.add(slot);
    const isBehind = rest !== undefined && suspect.sequence < rest.sequence;
    return isBehind && limitsOfRules!.isInOrder(slot) ? 'kept' : this.#alive(slot);
  }

  // Whether something of a line has to be looked up.
  #isOnDisk(slot: number, share: Subscription<Receiver> | undefined): boolean {
    return this.#parts.buckets.isOlder(slot) || share?.sought !== undefined;
  }

  // What comes next in a line and is not dead.
  #alive(slot: number): Slice | 'empty' | 'kept' {
    const { buckets, dying } = this.#parts;
    const head = dying.isPossible ? dying.clear(slot) : 'alive';
    if (head === 'waits') return 'kept';
    return (head === 'alive' ? buckets.peek(slot) : undefined) ?? 'empty';
  }

  /**
   * Place of the record of what `next` gave; READING: it is being read, and others may go on; -1:
   * too much is.
   */
  fetch(ring: SourceRing, slot: number, position: Position, recordBytes: number): number {
    const { records } = this.#lines;
    const known = records.placeOf(position, recordBytes);
    if (known >= 0) return known;
    if (ring.reading.size >= READING_MAX) return -1;
    this.#watched.add(ring, slot);
    this.#lines.lookup(slot);
    records.fetch(slot, position, recordBytes);
    if (ring.isApart) ring.apart.delete(slot);
    else this.#leave(ring, slot);
    ring.reading.add(slot);
    return READING;
  }

  /** The first `count` messages of what `next` gave are in the delivery. */
  took(ring: SourceRing, slot: number, count: number): void {
    const { buckets, limitsOfRules, maintenance } = this.#parts;
    const { sources } = buckets;
    if (slot !== ring.slot) limitsOfRules!.delivered(slot, count);
    if (ring.isApart) {
      ring.apart.delete(slot);
      const share = buckets.subscription(slot)!;
      if ((share.suspects?.size ?? 0) > 0) ring.apart.add(slot);
      else buckets.isolation.tidy(share);
      return;
    }
    ring.left -= count;
    if (!sources.mayHave(slot)) this.#leave(ring, slot);
    else if (ring.left > 0) return;
    else if (ring.order !== 'strict' && maintenance.search.rests(slot)) sources.rest(ring, slot);
    else ring.rotate();
  }
}
