// Records whose messages are to be moved: in the open segment, in what was read back, or on disk,
// from where one at a time is brought into memory. What the ring holds of an earlier segment is
// read back, too: the move is written into the ring, and may come to stand where it was.

import { RECORD_HEADER_BYTES } from '../../../assembly/layout.ts';
import type { Slice } from '../buckets/slice.ts';
import type { Failure, Position } from '../ports/basics.ts';
import type { RecordReader } from '../ports/reader.ts';

/** Knows what is in the ring, and how far it is written. */
interface Ring {
  readonly commit: { hot(position: Position): number; readonly endPosition: Position };
  readonly codec: { writeAt(): number };
}

export class MovedRecords {
  readonly #ring: Ring;
  readonly #reader: RecordReader;
  readonly #loaded: (position: Position, failure: Failure) => void;
  /** Whether one is on its way into memory. */
  isLoading = false;

  /** `loaded`: the record that stood at `position` may be in memory now, or cannot be read. */
  constructor(
    ring: Ring,
    reader: RecordReader,
    loaded: (position: Position, failure: Failure) => void,
  ) {
    this.#ring = ring;
    this.#reader = reader;
    this.#loaded = loaded;
  }

  /** Place of a part's record in memory, or -1: it is being read. */
  placeOf({ position, bodyBytes }: Slice): number {
    const recordBytes = RECORD_HEADER_BYTES + bodyBytes;
    const { commit, codec } = this.#ring;
    const openBase = commit.endPosition - codec.writeAt();
    const hot = position >= openBase ? commit.hot(position) : -1;
    if (hot >= 0) return hot;
    const cold = this.#reader.resident(position, recordBytes);
    if (cold >= 0) return cold;
    this.isLoading = true;
    this.#reader.load(position, recordBytes, (failure) => {
      this.isLoading = false;
      this.#loaded(position, failure);
    });
    return -1;
  }
}
