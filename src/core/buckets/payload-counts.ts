// Bytes of payload that wait or are held, by bucket, while a rule bounds them. What a record holds
// is shared out evenly among its messages until all of them are gone, as nobody knows the length of
// one without reading it; so what comes in and goes out of a bucket cancels out to the byte. The
// counts lie beside the slots, in pages that are made when one of their buckets has any.

import { type BucketTable, PAGE_BITS } from './bucket-table.ts';
import type { Entries } from './entries.ts';
import type { Slice } from './slice.ts';
import type { Unsettled } from './unsettled.ts';

const PAGE = 1 << PAGE_BITS;
/** A message stands in a record behind its size. */
const SIZE_BYTES = 4;

/** The payload of a record. */
export function recordPayload(bodyBytes: number, messages: number): number {
  return bodyBytes - messages * SIZE_BYTES;
}

/** Share of a record's payload that `count` messages of a part have, behind its first `at`. */
export function partPayload(part: Slice, at: number, count: number): number {
  const { bodyBytes, messages } = part;
  const payload = recordPayload(bodyBytes, messages);
  const from = part.first + at;
  return (
    Math.floor((payload * (from + count)) / messages) - Math.floor((payload * from) / messages)
  );
}

/** The payload of `waiting` messages of an entry. */
export function entryPayload(entries: Entries, entry: number, waiting: number): number {
  const messages = entries.count(entry);
  const payload = recordPayload(entries.bodyBytes(entry), messages);
  return Math.floor((payload * waiting) / messages);
}

/** Lines of buckets, as far as they are in memory. */
interface Lines {
  readonly entries: Entries;
  slots(): Iterable<number>;
  headOf(slot: number): { entry: number; taken: number };
}

export class PayloadCounts {
  readonly #pages: BucketTable['pages'];
  /** Whether anything is counted. */
  isOn = false;

  constructor(pages: BucketTable['pages']) {
    this.#pages = pages;
  }

  /** Counts from now on, and what waits in entries now. What is held now is not counted. */
  begin(lines: Lines, unsettled: Pick<Unsettled, 'countOf'>): void {
    this.isOn = true;
    const { entries } = lines;
    for (const slot of lines.slots()) {
      this.clear(slot);
      let { entry, taken } = lines.headOf(slot);
      for (; entry !== 0; entry = entries.next(entry), taken = 0) {
        const [first, count] = [entries.sequence(entry) + taken, entries.count(entry) - taken];
        const bytes = entryPayload(entries, entry, unsettled.countOf(first, count));
        if (bytes > 0) this.add(slot, bytes);
      }
    }
  }

  /** Of a bucket; at least, where not all of its messages are counted. */
  of(slot: number): number {
    return this.#pages[slot >>> PAGE_BITS]!.payload?.[slot & (PAGE - 1)] ?? 0;
  }

  /** So many bytes came, or went where it is negative. */
  add(slot: number, bytes: number): void {
    const page = this.#pages[slot >>> PAGE_BITS]!;
    page.payload ??= new Float64Array(PAGE);
    // What was there before anything was counted goes, too.
    page.payload[slot & (PAGE - 1)] = Math.max(0, page.payload[slot & (PAGE - 1)]! + bytes);
  }

  /** Nothing of the bucket waits or is held any more. */
  clear(slot: number): void {
    const { payload } = this.#pages[slot >>> PAGE_BITS]!;
    if (payload !== undefined) payload[slot & (PAGE - 1)] = 0;
  }

  /** A part came into a bucket's count, or left it. */
  addPart(part: Slice): void {
    if (this.isOn) this.add(part.slot, partPayload(part, 0, part.count));
  }

  takePart(part: Slice): void {
    if (this.isOn) this.add(part.slot, -partPayload(part, 0, part.count));
  }
}
