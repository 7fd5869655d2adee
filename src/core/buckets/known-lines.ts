// What is known of each line of a bucket, for whoever asks and changes nothing: whose it is, where
// it goes on, and what is in it, by slot and over all.

import { KIND_LIVE } from '../../../assembly/layout-placed.ts';
import {
  BucketTable,
  COUNTED,
  countsAt,
  FLAGS,
  HEAD,
  HIGH,
  kindIn,
  LOW,
  NEXT,
  numbersAt,
  OLDER,
  PAGE_BITS,
  type Page,
  READY,
  TAKEN,
  UNACKED,
  wordsAt,
} from './bucket-table.ts';
import { idText } from './subscription.ts';
import { Totals } from './totals.ts';

export class KnownLines {
  protected readonly table = new BucketTable();
  protected readonly totals = new Totals();

  protected page(slot: number): Page {
    return this.table.pages[slot >>> PAGE_BITS]!;
  }

  /** Messages over all buckets' own lines. */
  get ready(): number {
    return this.totals.live.ready;
  }

  get unacked(): number {
    return this.totals.live.unacked;
  }

  /** Messages that are ready in the dead lines of all buckets. */
  get dead(): number {
    return this.totals.dead.ready;
  }

  /** Lines of a kind (layout.ts) that are known. */
  countOf(kind: number): number {
    return this.table.countOf(kind);
  }

  /** Buckets that are known, but for those of which only what is dead is. */
  get count(): number {
    return this.countOf(KIND_LIVE);
  }

  readyOf(slot: number): number {
    return this.page(slot).counts[countsAt(slot) + READY]!;
  }

  unackedOf(slot: number): number {
    return this.page(slot).counts[countsAt(slot) + UNACKED]!;
  }

  /** Whether `readyOf` counts everything, also what is only in indexes. */
  isCounted(slot: number): boolean {
    return this.table.has(slot, COUNTED);
  }

  kindOf(slot: number): number {
    return kindIn(this.page(slot).words[wordsAt(slot) + FLAGS]!);
  }

  /** The bucket's id as decimal text. */
  idOf(slot: number): string {
    const { low, high } = this.placeOf(slot);
    return idText(low, high);
  }

  /** The bucket as two words, the kind of the line, and the sequence from which on it goes on. */
  placeOf(slot: number): { low: number; high: number; kind: number; next: number } {
    const { numbers, words } = this.page(slot);
    const at = wordsAt(slot);
    const next = numbers[numbersAt(slot) + NEXT]!;
    const kind = kindIn(words[at + FLAGS]!);
    return { low: words[at + LOW]!, high: words[at + HIGH]!, kind, next };
  }

  /** Where the line goes on: head, messages taken of it, and whether indexes are first. */
  headOf(slot: number): { entry: number; taken: number; isOlder: boolean } {
    const { numbers, words } = this.page(slot);
    const entry = numbers[numbersAt(slot) + HEAD]!;
    const isOlder = this.table.has(slot, OLDER);
    return { entry, taken: words[wordsAt(slot) + TAKEN]!, isOlder };
  }

  /** Whether indexes come first in the line. */
  isOlder(slot: number): boolean {
    return this.table.has(slot, OLDER);
  }

  /** Slots are below this. */
  get slotsEnd(): number {
    return this.table.end;
  }

  /** Whether a slot stands for a line. */
  inUse(slot: number): boolean {
    return this.table.isUsed(slot);
  }

  /** What is ready and unacked, by slot; nothing is in those that are free. */
  eachCount(visit: (slot: number, ready: number, unacked: number) => void): void {
    this.table.eachCount(visit);
  }

  /** Slots that are in use, in no particular order. */
  *slots(): Generator<number> {
    yield* this.table.slots();
  }
}
