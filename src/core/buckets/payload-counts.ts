// Bytes of payload that wait or are held, by bucket, while a rule bounds them. What a record holds
// is shared out evenly among its messages until all of them are gone, as nobody knows the length of
// one without reading it; so what comes in and goes out of a bucket cancels out to the byte. The
// counts lie beside the slots, in pages that are made when one of their buckets has any.

import { HEAD_BYTES } from '../../../assembly/layout-placed.ts';
import type { SequenceSet } from '../collections/sequence-set.ts';
import { type BucketTable, PAGE_BITS } from './bucket-table.ts';
import type { Entries } from './entries.ts';
import type { Slice } from './slice.ts';
import type { Unsettled } from './unsettled.ts';

const PAGE = 1 << PAGE_BITS;
/** A message stands in a record behind its size. */
const SIZE_BYTES = 4;

/** The payload of a record; `headBytes` stand in front of its messages. */
export function recordPayload(bodyBytes: number, messages: number, headBytes = 0): number {
  return bodyBytes - headBytes - messages * SIZE_BYTES;
}

/** Share of a record's payload that `count` messages of a part have, behind its first `at`. */
export function partPayload(part: Slice, at: number, count: number, headBytes = 0): number {
  const { bodyBytes, messages } = part;
  const payload = recordPayload(bodyBytes, messages, headBytes);
  const from = part.first + at;
  return (
    Math.floor((payload * (from + count)) / messages) - Math.floor((payload * from) / messages)
  );
}

/** Lines of buckets. */
interface Lines {
  readonly entries: Entries;
  slots(): Iterable<number>;
  find(low: number, high: number, kind: number): number;
}

export class PayloadCounts {
  readonly #pages: BucketTable['pages'];
  readonly #placed: Pick<SequenceSet, 'has'>;
  /** Whether anything is counted. */
  isOn = false;
  #from = 0;

  constructor(pages: BucketTable['pages'], placed: Pick<SequenceSet, 'has'>) {
    this.#pages = pages;
    this.#placed = placed;
  }

  // What stands in front of the messages of a record, one of which is `sequence`.
  #headBytes(sequence: number): number {
    return this.#placed.has(sequence) ? HEAD_BYTES : 0;
  }

  /** Share of a record's payload that `count` messages of a part have, behind its first `at`. */
  ofPart(part: Slice, at: number, count: number): number {
    if (part.sequence < this.#from) return 0;
    return partPayload(part, at, count, this.#headBytes(part.sequence));
  }

  /** The payload of `waiting` messages of an entry. */
  ofEntry(entries: Entries, entry: number, waiting: number): number {
    const messages = entries.count(entry);
    const headBytes = this.#headBytes(entries.sequence(entry));
    const payload = recordPayload(entries.bodyBytes(entry), messages, headBytes);
    return Math.floor((payload * waiting) / messages);
  }

  /**
   * Counts from now on, and what entries hold of what is there now: ready, held or delayed.
   * `isLate`: what is only in indexes by now is left out for good, as what nobody added may not be
   * taken away when it goes.
   */
  begin(lines: Lines, unsettled: Pick<Unsettled, 'leftOf'>, isLate: boolean): void {
    const { entries } = lines;
    this.isOn = true;
    this.#from = isLate && entries.from < entries.end ? entries.firstSequence : 0;
    for (const slot of lines.slots()) this.clear(slot);
    for (let entry = entries.from; entry < entries.end; entry++) {
      const left = unsettled.leftOf(entries.sequence(entry), entries.count(entry));
      if (left === 0) continue;
      const [low, high] = [entries.bucketLow(entry), entries.bucketHigh(entry)];
      const slot = lines.find(low, high, entries.kind(entry));
      if (slot !== 0) this.add(slot, this.ofEntry(entries, entry, left));
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

  /** A record came, whose first message is `sequence`. */
  addRecord(slot: number, sequence: number, bodyBytes: number, messages: number): void {
    this.add(slot, recordPayload(bodyBytes, messages, this.#headBytes(sequence)));
  }

  /** Nothing of the bucket waits or is held any more. */
  clear(slot: number): void {
    const { payload } = this.#pages[slot >>> PAGE_BITS]!;
    if (payload !== undefined) payload[slot & (PAGE - 1)] = 0;
  }

  /** A part came into a bucket's count, or left it. */
  addPart(part: Slice): void {
    if (this.isOn) this.add(part.slot, this.ofPart(part, 0, part.count));
  }

  takePart(part: Slice): void {
    if (this.isOn) this.add(part.slot, -this.ofPart(part, 0, part.count));
  }
}
