// What becomes ready because its time has come. An entry of the due times says so of neighbours; of
// these only those that still wait for it count: who is settled, was deferred again, or was ready
// already is passed by. So an entry may come twice, or late, and does no harm.
//
//   wall clock ──► due times ──► entry ──► runs that wait ──► ready in their line ──► dispatch
//
// Times are those of the wall clock, sleep is measured by the monotonic one. Nothing is ready
// before its time by the wall clock. That one may jump, or the machine may have slept: so the two
// are compared now and then while something waits, and what became due by that is ready at once.

import type { Outcomes } from '../collections/outcomes.ts';
import { DUE_READY, type DueEntry } from '../records/due.ts';
import { type DueTimes, FIRE_MAX } from './due-times.ts';

/** The lines of buckets, to which messages come back. */
export interface ReadyLines {
  /**
   * Neighbours, unsettled, do not wait any more: they are ready at their place in their line. Gives
   * the slot of their bucket, or 0 if that is not known now.
   */
  readyAgain(low: number, high: number, kind: number, sequence: number, count: number): number;
}

export interface FiringOptions {
  due: DueTimes;
  outcomes: Pick<Outcomes, 'settled' | 'waiting' | 'turns'>;
  lines: ReadyLines;
  dispatch: (slot: number) => void;
  /** Asks for `turn` to be called, because there is more. */
  soon: () => void;
  wallMs: () => number;
  /** The wall clock went forward or, if negative, back by so many ms. */
  jumped: (byMs: number) => void;
}

/** While something waits, the clocks are compared at least this often. */
export const COMPARE_MS = 60_000;
// From here on it is a jump.
const JUMP_MS = 1000;
// Entries at a time, and messages after which others have their turn, as FIRE_MAX entries.
const SLICE = 256;
const MESSAGES_MAX = 65_536;

export class Firing {
  readonly #options: FiringOptions;
  readonly #take = (entry: DueEntry) => this.#fire(entry);
  readonly #touched: number[] = [];
  #aheadMs: number | undefined; // of the wall clock, compared with the monotonic one
  /** Messages that became ready since the start. */
  messages = 0;
  /** In monotonic ms, when `advance` has something to do next, as of its last call. */
  dueMs = Number.POSITIVE_INFINITY;

  constructor(options: FiringOptions) {
    this.#options = options;
  }

  /** Monotonic time: what is due by the wall clock becomes ready. */
  advance(nowMs: number): void {
    const { due, wallMs } = this.#options;
    if (due.segments === 0) {
      this.#aheadMs = undefined;
      this.dueMs = Number.POSITIVE_INFINITY;
      return;
    }
    const wall = wallMs();
    this.#compare(wall - nowMs);
    this.#fireAt(wall);
    const next = due.nextMs();
    if (next === Number.POSITIVE_INFINITY) this.dueMs = next;
    else this.dueMs = nowMs + Math.min(Math.max(0, next - wall), COMPARE_MS);
  }

  /** Others had their turn: goes on with what is due. */
  turn(): void {
    const { due, wallMs } = this.#options;
    if (due.segments > 0 || this.#touched.length > 0) this.#fireAt(wallMs());
  }

  #fireAt(wall: number): void {
    const { due, dispatch, soon } = this.#options;
    const until = this.messages + MESSAGES_MAX;
    let fired = due.nextMs() <= wall ? SLICE : 0;
    for (let all = 0; all < FIRE_MAX && fired === SLICE && this.messages < until; all += fired)
      fired = due.fire(wall, SLICE, this.#take);
    for (const slot of this.#touched) dispatch(slot);
    this.#touched.length = 0;
    if (due.nextMs() <= wall) soon();
  }

  #compare(aheadMs: number): void {
    const before = this.#aheadMs;
    this.#aheadMs = aheadMs;
    if (before === undefined || Math.abs(aheadMs - before) <= JUMP_MS) return;
    this.#options.jumped(Math.round(aheadMs - before));
  }

  #fire({ what, low, high, kind, sequence, count, turn }: DueEntry): void {
    if (what !== DUE_READY) return;
    const { settled, waiting, turns } = this.#options.outcomes;
    // After a start they come again from the beginning; most were ready long ago.
    if (waiting.within(sequence, count) === 0) return;
    const end = sequence + count;
    for (let at = sequence; at < end; ) {
      let to = at;
      while (to < end && waiting.has(to) && turns.get(to) === turn && !settled.has(to)) to++;
      if (to > at) this.ready(low, high, kind, at, to - at);
      at = to + 1;
    }
  }

  /** Neighbours that wait, unsettled, do not wait any more; consumers get them in the next turn. */
  ready(low: number, high: number, kind: number, sequence: number, count: number): void {
    const { lines, outcomes } = this.#options;
    outcomes.waiting.remove(sequence, count);
    this.messages += count;
    const slot = lines.readyAgain(low, high, kind, sequence, count);
    if (slot !== 0 && slot !== this.#touched.at(-1)) this.#touched.push(slot);
  }
}
