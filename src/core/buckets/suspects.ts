// The messages of one bucket that are suspects: each was in a delivery that was lost with others,
// and one of them may be what its consumer died of. They are kept apart from the rest of the line:
// the LEVEL of each says how many may be given out together, which is half of what was lost, so
// that whoever is to blame is alone in the end. Here it is also decided what is next, they or the
// rest, as the rest is not to wait for them.

import { LEVEL_MAX } from '../../../assembly/layout-placed.ts';
import { Requeued } from './requeued.ts';
import type { Slice } from './slice.ts';

/** Who is next: suspects, the rest, or whoever stands first. */
export type Turn = 'suspects' | 'rest' | 'in order';

// What is next, where it is not one of the heaps: the rest of the line, or all of it.
const REST = -1;
const ALL = -2;

/** The level of `count` messages that were lost together: at most half of them are next time. */
export function levelOf(count: number): number {
  return Math.max(1, 32 - Math.clz32(count - 1));
}

/** Most messages of a level in one delivery. */
export function mostOf(level: number): number {
  return level === 0 ? Number.POSITIVE_INFINITY : 2 ** (level - 1);
}

export class Suspects {
  // By level; those that were charged, when each was alone, are at 0.
  readonly #heaps: (Requeued | undefined)[] = new Array(LEVEL_MAX + 1).fill(undefined);
  #next = REST;
  /** Slices. */
  size = 0;
  /** Consumers that hold suspects. */
  holders = 0;

  /** Whether whoever takes all of the line is served. */
  get isAll(): boolean {
    return this.#next === ALL;
  }

  /** Nothing is left of them, here and with consumers. */
  get isOver(): boolean {
    return this.size === 0 && this.holders === 0;
  }

  /** What is next, if it is their turn: of one level until that changes. */
  peek(): Slice | undefined {
    if (this.#next === REST) return undefined;
    return this.#next === ALL ? this.first() : this.#heaps[this.#next]?.peek();
  }

  push(slice: Slice): void {
    const place = placeOf(slice);
    this.#heaps[place] ??= new Requeued();
    this.#heaps[place]!.push(slice);
    this.size++;
  }

  /** Takes out what `peek` gave. Where it went on meanwhile, others may stand before it. */
  pop(slice: Slice): void {
    this.#heaps[placeOf(slice)]!.pop();
    this.size--;
  }

  /** Takes out what stands at or behind a sequence. */
  dropFrom(sequence: number): Slice[] {
    const dropped = this.#heaps.flatMap((heap) => heap?.dropFrom(sequence) ?? []);
    this.size -= dropped.length;
    return dropped;
  }

  /** All of them, in no particular order. */
  get slices(): Slice[] {
    return this.#heaps.flatMap((heap) => heap?.slices ?? []);
  }

  /** The first of them. */
  first(): Slice | undefined {
    return this.#oldest()?.peek();
  }

  #oldest(): Requeued | undefined {
    let oldest: Requeued | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (const heap of this.#heaps) {
      const sequence = heap?.peek()?.sequence ?? Number.POSITIVE_INFINITY;
      if (sequence >= least) continue;
      oldest = heap;
      least = sequence;
    }
    return oldest;
  }

  /** It is the turn of the rest of the line. */
  others(): void {
    this.#next = REST;
  }

  /** It is the turn of all of the line. */
  all(): void {
    this.#next = ALL;
  }

  /**
   * Decides what the next delivery is of: suspects or the rest. At most half of the consumers hold
   * suspects, and at least one may; but if there is nothing else, they go. `rest`: where the rest of
   * the line goes on, 0 if nothing of it is at hand, maybe because it `isRead`; `turn`: whose it is;
   * `inOrder`: what stands first goes first. False: there is nothing for now.
   */
  choose(rest: number, consumers: number, isRead: boolean, turn: Turn): boolean {
    this.#next = REST;
    if (this.size === 0) return rest > 0;
    const mayGo = this.holders < Math.max(1, consumers >>> 1);
    if (rest === 0 && isRead && !mayGo) return false;
    const isBefore = turn === 'in order' && this.first()!.sequence < rest;
    if (rest > 0 && !isBefore && !(mayGo && turn === 'suspects')) return true;
    this.#next = turn === 'in order' ? placeOf(this.first()!) : this.#farthest();
    return true;
  }

  /**
   * It is the turn of those of a level, 0: of the one that comes first; `inOrder`: of whoever stands
   * first. False: there are none, or others stand before them.
   */
  only(level: number, inOrder: boolean): boolean {
    this.#next = REST;
    if (this.size === 0) return false;
    const place = inOrder ? placeOf(this.first()!) : level === 0 ? this.#farthest() : level;
    if ((this.#heaps[place]?.size ?? 0) === 0) return false;
    if (level !== 0 && place !== level) return false;
    this.#next = place;
    return true;
  }

  // The level of which most come together, and last those that a consumer died of: whoever is to
  // blame would otherwise keep the others from their consumer each time that it comes first.
  #farthest(): number {
    let level = this.#heaps.length - 1;
    while ((this.#heaps[level]?.size ?? 0) === 0) level--;
    return level;
  }

  /** Who held suspects holds none of them any more. */
  returned(): void {
    this.holders = Math.max(0, this.holders - 1);
  }
}

function placeOf({ level, attempts }: Slice): number {
  return level === 1 && attempts > 0 ? 0 : level;
}
