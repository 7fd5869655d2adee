// What one consumer holds: the slices that were delivered to it and that it has not answered, in
// the order of delivery. Its bytes are for the next of these messages, one each.

import type { Slice } from '../buckets/slice.ts';
import type { SourceRing } from '../buckets/source-ring.ts';
import type { Position } from '../ports/basics.ts';
import type { Holder } from '../ports/observer.ts';
import type { Settlement } from './settlement.ts';
import { DONE, delayOf, isFree, REJECTED, sameUntil, VERDICTS, WORKING } from './verdict.ts';

export class InFlight {
  readonly #parts: Slice[] = [];
  #at = 0; // part that the next byte is for
  #answered = 0; // messages of that part that are not held any more
  /** Messages that are held. */
  count = 0;
  /** Of a delivery from the sources of a virtual bucket: what its consumers share. */
  shared: SourceRing | undefined;
  /** Whose it is, for whoever follows the messages. */
  readonly holder: Holder | undefined;

  constructor(holder?: Holder) {
    this.holder = holder;
  }

  /** Parts of the delivery, answered or not. */
  get parts(): number {
    return this.#parts.length;
  }

  /** The first part of the delivery. */
  get first(): Slice {
    return this.#parts[0]!;
  }

  /** How far apart from others all of the delivery is given out. */
  get level(): number {
    return this.#parts.length === 0 ? 0 : this.#parts[0]!.level;
  }

  add(part: Slice): void {
    this.#parts.push(part);
    this.count += part.count;
    if (this.shared !== undefined) this.shared.held += part.count;
  }

  /** The consumer's bytes for the next messages, as many as are held at most, and among them any
   * number that say that it is working. */
  answer(bytes: Uint8Array, settlement: Settlement): void {
    for (let at = 0; at < bytes.length; ) {
      if (VERDICTS[bytes[at]!] === WORKING) {
        at++; // the message that is next stays so
        continue;
      }
      const part = this.#parts[this.#at]!;
      const most = Math.min(bytes.length, at + part.count - this.#answered);
      const end = sameUntil(bytes, at, most);
      const verdict = VERDICTS[bytes[at]!]!;
      if (verdict === DONE) settlement.done(part, this.#answered, end - at, this.holder);
      else this.#givesBack(part, end - at, verdict, settlement);
      this.#pass(part, end - at);
      at = end;
    }
    if (this.count === 0) this.#end(settlement);
  }

  #givesBack(part: Slice, count: number, verdict: number, settlement: Settlement): void {
    const delayMs = delayOf(verdict);
    if (verdict === REJECTED) settlement.rejected(part, this.#answered, count, this.holder);
    else if (isFree(verdict))
      settlement.released(part, this.#answered, count, this.holder, delayMs);
    else settlement.failed(part, this.#answered, count, this.holder, delayMs);
  }

  /**
   * The link ended, or a lease is over, as a CAUSE of layout-placed.ts says; everything that is held comes back. `cause` 0: that
   * was not the doing of the consumer, and nothing is charged.
   */
  lose(settlement: Settlement, cause: number): void {
    const together = this.count;
    while (this.count > 0) {
      const part = this.#parts[this.#at]!;
      const rest = part.count - this.#answered;
      if (cause === 0) settlement.takenBack(part, this.#answered, rest, this.holder);
      else settlement.lost(part, this.#answered, rest, together, cause, this.holder);
      this.#pass(part, rest);
    }
    this.#end(settlement);
  }

  #pass(part: Slice, count: number): void {
    this.count -= count;
    if (this.shared !== undefined) this.shared.held -= count;
    this.#answered += count;
    if (this.#answered < part.count) return;
    this.#at++;
    this.#answered = 0;
  }

  #end(settlement: Settlement): void {
    if (this.level > 0) {
      if (this.shared !== undefined) this.shared.returned();
      else settlement.suspectsBack(this.first.slot);
    }
    this.shared = undefined;
    this.#parts.length = 0;
    this.#at = 0;
    this.#answered = 0;
  }

  /** Records of the segments from `base` to before `end` stand elsewhere now. */
  moved(base: Position, end: Position, where: (part: Slice) => void): void {
    for (let at = this.#at; at < this.#parts.length; at++) {
      const part = this.#parts[at]!;
      if (part.position < base || part.position >= end) continue;
      // What is done of it may not be in the log any more.
      if (at === this.#at && this.#answered > 0) {
        part.sequence += this.#answered;
        part.first += this.#answered;
        part.count -= this.#answered;
        this.#answered = 0;
      }
      where(part);
    }
  }

  /** Gives what is held, as runs. */
  each(take: (sequence: number, count: number) => void): void {
    for (let at = this.#at; at < this.#parts.length; at++) {
      const { sequence, count } = this.#parts[at]!;
      const answered = at === this.#at ? this.#answered : 0;
      take(sequence + answered, count - answered);
    }
  }
}
