// Last numbers of producers that a compaction goes through: the newest of each stays.

import {
  PRODUCER_BYTES,
  PRODUCER_ID_AT,
  PRODUCER_NUMBER_AT,
} from '../../../assembly/layout-placed.ts';

export class NewestProducers {
  // By id, in the order in which they were heard of last.
  readonly #marks = new Map<string, Uint8Array>();

  /** Takes the `count` producers of a record whose body begins at offset `body` of `bytes`. */
  add(bytes: Uint8Array, body: number, count: number): void {
    for (let i = 0; i < count; i++) {
      const mark = bytes.slice(body + i * PRODUCER_BYTES, body + (i + 1) * PRODUCER_BYTES);
      const id = mark.subarray(PRODUCER_ID_AT, PRODUCER_NUMBER_AT).join();
      this.#marks.delete(id);
      this.#marks.set(id, mark);
    }
  }

  /** As they stand in a record. */
  marks(): Iterable<Uint8Array> {
    return this.#marks.values();
  }
}
