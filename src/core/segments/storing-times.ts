// When messages were stored, by sequence: the wall clock of the batch that they came with, which
// the log says in its commit records. A ladder of rows, dense where it is new and thinned out where
// it is old: never says a time that is too early, and one that is too late by less than a hundredth
// of the message's age, or a quarter of a second. So it is known as exactly as it needs to be how
// long anything waited, for any number of messages and however old, in some 200 KiB.
//
//   row:  messages from the end of the row before it on, to before `end`
//         were stored between `least` and `most`, which is what counts
//
// The clock may have been set back between two rows, so times need not ascend.

const ROWS_MAX = 8192;
// What a row may span, and share of the age.
const SPAN_MS = 250;
const AGE_SHARE = 1 / 128;

/** Messages before `end`, and behind those of the row before it. */
export type StoringRow = [end: number, least: number, most: number];

export class StoringTimes {
  #ends: number[] = [];
  #least: number[] = [];
  #most: number[] = [];

  /** Messages before sequence `end` of which nothing is known were stored at `ms`, since 1970. */
  note(end: number, ms: number): void {
    this.#add(end, ms, ms);
    if (this.#ends.length > ROWS_MAX) this.#thin(ms);
  }

  #add(end: number, least: number, most: number): void {
    const last = this.#ends.length - 1;
    if (last >= 0 && end <= this.#ends[last]!) return;
    if (last >= 0 && this.#spanWith(last, least, most) < SPAN_MS)
      this.#widen(last, end, least, most);
    else {
      this.#ends.push(end);
      this.#least.push(least);
      this.#most.push(most);
    }
  }

  #spanWith(row: number, least: number, most: number): number {
    return Math.max(this.#most[row]!, most) - Math.min(this.#least[row]!, least);
  }

  #widen(row: number, end: number, least: number, most: number): void {
    this.#ends[row] = end;
    this.#least[row] = Math.min(this.#least[row]!, least);
    this.#most[row] = Math.max(this.#most[row]!, most);
  }

  /** When a message was stored, or somewhat later; Infinity: it is newer than all. */
  of(sequence: number): number {
    return this.#most[this.#rowOf(sequence)] ?? Number.POSITIVE_INFINITY;
  }

  /** The earliest that `of` gives of messages from `first` to before `end`. */
  earliest(first: number, end: number): number {
    let ms = Number.POSITIVE_INFINITY;
    for (let row = this.#rowOf(first); row < this.#ends.length; row++) {
      if (row > 0 && this.#ends[row - 1]! >= end) break;
      ms = Math.min(ms, this.#most[row]!);
    }
    return ms;
  }

  #rowOf(sequence: number): number {
    const ends = this.#ends;
    let low = 0;
    let high = ends.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (ends[middle]! <= sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** All rows about messages before `end`. */
  *rows(end: number): Generator<StoringRow> {
    for (let row = 0; row < this.#ends.length; row++) {
      const to = Math.min(end, this.#ends[row]!);
      if (to > (this.#ends[row - 1] ?? 0)) yield [to, this.#least[row]!, this.#most[row]!];
    }
  }

  /** Takes over a row that `rows` gave, in their order, before anything is noted. */
  restore([end, least, most]: StoringRow): void {
    this.#add(end, least, most);
  }

  // Neighbours become one row, as long as that is exact enough for their age; where a clock that is
  // set again and again keeps too many apart, the older half loses every other one.
  #thin(nowMs: number): void {
    const rows = [...this.rows(Number.POSITIVE_INFINITY)];
    this.#clear();
    for (const [end, least, most] of rows) {
      const last = this.#ends.length - 1;
      const ageMs = last < 0 ? 0 : nowMs - Math.max(this.#most[last]!, most);
      const isNear = last >= 0 && this.#spanWith(last, least, most) <= ageMs * AGE_SHARE;
      if (isNear) this.#widen(last, end, least, most);
      else this.#add(end, least, most);
    }
    if (this.#ends.length > ROWS_MAX / 2) this.#halve();
  }

  #halve(): void {
    const rows = [...this.rows(Number.POSITIVE_INFINITY)];
    this.#clear();
    for (const [i, [end, least, most]] of rows.entries()) {
      const isOld = i < rows.length / 2;
      if (isOld && i % 2 === 1) this.#widen(this.#ends.length - 1, end, least, most);
      else this.#add(end, least, most);
    }
  }

  #clear(): void {
    this.#ends = [];
    this.#least = [];
    this.#most = [];
  }
}
