// A list of marks: ranges of sequences that were settled, or came back. Ranges that touch the last
// one are merged, so a consumer that acks in order costs one mark a batch. It has a bound;
// `waiting-marks` says what becomes of marks beyond that.

import {
  MARK_ATTEMPTS_AT,
  MARK_BYTES,
  MARK_COUNT_AT,
  MARK_SEQUENCE_AT,
} from '../../../assembly/layout.ts';
import { join } from './rows.ts';

const TWO_32 = 2 ** 32;

/** What a mark says, and of which messages. */
export interface Mark {
  sequence: number;
  count: number;
  attempts: number;
}

/** The `count` marks of a record whose body begins at offset `body` of `bytes`. */
export function marksIn(bytes: Uint8Array, body: number, count: number): Mark[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset + body, count * MARK_BYTES);
  return Array.from({ length: count }, (_, i) => {
    const at = i * MARK_BYTES;
    const low = view.getUint32(at + MARK_SEQUENCE_AT, true);
    return {
      sequence: join(low, view.getUint32(at + MARK_SEQUENCE_AT + 4, true)),
      count: view.getUint32(at + MARK_COUNT_AT, true),
      attempts: view.getUint32(at + MARK_ATTEMPTS_AT, true),
    };
  });
}

export class MarkList {
  readonly #most: number;
  #sequences = new Float64Array(256);
  #counts = new Uint32Array(256);
  #attempts = new Uint32Array(256);
  #from = 0;
  #to = 0;
  #unloaded = 0;

  /** Holds at most `most` marks, 16 bytes each. */
  constructor(most = Number.POSITIVE_INFINITY) {
    this.#most = most;
  }

  /** Marks ever added, neighbours that became one counted once. */
  get end(): number {
    return this.#unloaded + this.count;
  }

  get count(): number {
    return this.#to - this.#from;
  }

  /** Adds a mark; false: there is no room for it. */
  add(sequence: number, count: number, attempts: number): boolean {
    const last = this.#to - 1;
    if (
      last >= this.#from &&
      this.#sequences[last]! + this.#counts[last]! === sequence &&
      this.#attempts[last] === attempts
    ) {
      this.#counts[last]! += count;
      return true;
    }
    if (this.count >= this.#most) return false;
    if (this.#to === this.#counts.length) this.#grow();
    this.#sequences[this.#to] = sequence;
    this.#counts[this.#to] = count;
    this.#attempts[this.#to] = attempts;
    this.#to++;
    return true;
  }

  /** Moves the first `count` marks into the codec's mark area. */
  unload(count: number, into: DataView): void {
    for (let i = 0; i < count; i++) {
      const from = this.#from + i;
      const at = i * MARK_BYTES;
      const sequence = this.#sequences[from]!;
      into.setUint32(at + MARK_SEQUENCE_AT, sequence % TWO_32, true);
      into.setUint32(at + MARK_SEQUENCE_AT + 4, Math.floor(sequence / TWO_32), true);
      into.setUint32(at + MARK_COUNT_AT, this.#counts[from]!, true);
      into.setUint32(at + MARK_ATTEMPTS_AT, this.#attempts[from]!, true);
    }
    this.#from += count;
    this.#unloaded += count;
    if (this.#from === this.#to) {
      this.#from = 0;
      this.#to = 0;
    }
  }

  #grow(): void {
    const { length } = this.#counts;
    if (this.#from > length / 2 || length >= this.#most) {
      this.#sequences.copyWithin(0, this.#from, this.#to);
      this.#counts.copyWithin(0, this.#from, this.#to);
      this.#attempts.copyWithin(0, this.#from, this.#to);
      this.#to -= this.#from;
      this.#from = 0;
      return;
    }
    const size = Math.min(length * 2, this.#most);
    const [sequences, counts, attempts] = [this.#sequences, this.#counts, this.#attempts];
    this.#sequences = new Float64Array(size);
    this.#counts = new Uint32Array(size);
    this.#attempts = new Uint32Array(size);
    this.#sequences.set(sequences);
    this.#counts.set(counts);
    this.#attempts.set(attempts);
  }
}
