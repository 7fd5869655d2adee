// How fast buckets take and lose messages: an average that forgets with time, in columns by
// slot, so that a million buckets cost sixteen bytes each and nothing is swept.

import {
  type BucketTable,
  numbersAt,
  type Page,
  PUBLISHED,
  RATED_MS,
  SETTLED,
  wordsAt,
} from './bucket-table.ts';

/** What was counted so long ago weighs 1/e. */
const FADE_MS = 5000;

export class BucketRates {
  readonly #columns: BucketTable;
  /** Monotonic ms, as of the last input. */
  nowMs = 0;

  constructor(columns: BucketTable) {
    this.#columns = columns;
  }

  /** Messages were stored. */
  published(page: Page, slot: number, messages: number): void {
    this.#fade(page, slot);
    page.floats[wordsAt(slot) + PUBLISHED]! += messages;
  }

  /** Messages were acked, or purged. */
  settled(page: Page, slot: number, messages: number): void {
    this.#fade(page, slot);
    page.floats[wordsAt(slot) + SETTLED]! += messages;
  }

  /** Messages stored per second, about. */
  publishedOf(slot: number): number {
    return this.#perSecond(slot, PUBLISHED);
  }

  /** Messages acked or purged per second, about. */
  settledOf(slot: number): number {
    return this.#perSecond(slot, SETTLED);
  }

  /** Nothing has happened yet: what was counted was recovery. */
  clear(): void {
    for (let slot = 1; slot < this.#columns.end; slot = this.#columns.behind(slot)) {
      if (!this.#columns.isUsed(slot)) continue;
      const { floats } = this.#columns.page(slot);
      floats[wordsAt(slot) + PUBLISHED] = 0;
      floats[wordsAt(slot) + SETTLED] = 0;
    }
  }

  #perSecond(slot: number, column: number): number {
    const { numbers, floats } = this.#columns.page(slot);
    const sinceMs = this.nowMs - numbers[numbersAt(slot) + RATED_MS]!;
    const left = floats[wordsAt(slot) + column]! * Math.exp(-sinceMs / FADE_MS);
    return (left * 1000) / FADE_MS;
  }

  #fade({ numbers, floats }: Page, slot: number): void {
    const sinceMs = this.nowMs - numbers[numbersAt(slot) + RATED_MS]!;
    if (sinceMs <= 0) return;
    const share = Math.exp(-sinceMs / FADE_MS);
    floats[wordsAt(slot) + PUBLISHED]! *= share;
    floats[wordsAt(slot) + SETTLED]! *= share;
    numbers[numbersAt(slot) + RATED_MS] = this.nowMs;
  }
}
